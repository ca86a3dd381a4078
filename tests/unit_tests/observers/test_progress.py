"""A long job is seen to advance and to end, in whatever the output is."""

from __future__ import annotations

import io
import os
import pty
import termios
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_llm.events import Event, ProcessExited, ProcessReady, Progressed
from safe_llm.observers.bars import render_bar, render_html
from safe_llm.observers.progress import ProgressObserver
from safe_llm.observers.surfaces import Lines, NotebookCell, Terminal, find_surface, in_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

LOAD = [
    Progressed(source="engine", what="loading", fraction=fraction) for fraction in (0.0, 0.5, 0.5)
]
READY = ProcessReady(source="engine", after=1.5)


def show(observer: ProgressObserver, events: list[Event]) -> None:
    for event in events:
        observer(event)


def test_a_bar_shows_label_share_and_percentage() -> None:
    assert render_bar("loading", 0.5, 30) == "loading [#######........]  50%"
    assert render_bar("loading", 1.0, 30) == "loading [###############] 100%"


def test_without_a_total_there_is_no_bar() -> None:
    assert render_bar("loading", None, 30) == "loading ..."


def test_a_narrow_terminal_gets_the_percentage_alone() -> None:
    assert render_bar("loading", 0.25, 12) == "loading  25%"


def test_a_label_cannot_move_the_cursor() -> None:
    assert render_bar("a\x1b[2Jb\r\n", None, 30) == "a [2Jb   ..."
    assert "<b>" not in render_html("<b>", 0.5)


@given(
    st.text(max_size=60),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.integers(min_value=1, max_value=200),
)
def test_a_bar_is_one_printable_line_that_fits(
    label: str, fraction: float | None, width: int
) -> None:
    line = render_bar(label, fraction, width)
    assert len(line) <= width
    assert line.isprintable()


def test_a_file_gets_one_line_at_the_start_and_one_at_the_end() -> None:
    stream = io.StringIO()
    show(ProgressObserver(Lines(stream)), [*LOAD, READY])
    assert stream.getvalue() == "engine: loading ...\nengine: loading: ready after 1.5 s\n"


def test_a_job_that_reaches_its_end_or_whose_process_ends_is_closed_once() -> None:
    stream = io.StringIO()
    observer = ProgressObserver(Lines(stream))
    full = Progressed(source="engine", what="loading", fraction=1.0)
    show(observer, [*LOAD, full, READY])
    show(observer, [*LOAD, ProcessExited(source="engine", status="signal 9", wanted=False)])
    show(observer, [READY, ProcessExited(source="other", status="exit code 0", wanted=True)])
    assert stream.getvalue().splitlines() == [
        "engine: loading ...",
        "engine: loading: done",
        "engine: loading ...",
        "engine: loading: ended: signal 9",
    ]


def test_a_terminal_redraws_one_line_and_leaves_the_outcome_standing() -> None:
    stream = io.StringIO()
    show(ProgressObserver(Terminal(stream)), [*LOAD, READY])
    drawn = stream.getvalue()
    assert drawn.count("\n") == 1
    frames = drawn.split("\r")[1:]
    assert len(frames) == 4  # the second 50 % looked like the first
    assert frames[-1].rstrip() == "engine: loading: ready after 1.5 s"
    assert len(frames[-1].rstrip("\n")) == len(frames[-2])  # the longer bar is wiped out
    assert "\x1b" not in drawn


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_the_surface_is_chosen_by_what_the_stream_is(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with open(terminal[1], "w", encoding="utf-8", closefd=False) as stream:
        assert isinstance(find_surface(stream), Terminal)
        monkeypatch.setenv("TERM", "dumb")
        assert type(find_surface(stream)) is Lines
    assert find_surface(stream) is None  # closed
    assert type(find_surface(io.StringIO())) is Lines


def test_a_program_without_stderr_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    show(ProgressObserver(), [*LOAD, READY])


def test_a_terminal_stopped_with_control_s_is_not_waited_for(terminal: tuple[int, int]) -> None:
    with open(terminal[1], "w", encoding="utf-8", closefd=False) as stream:
        termios.tcflow(terminal[1], termios.TCOOFF)
        show(ProgressObserver(Terminal(stream)), [*LOAD, READY])
        termios.tcflow(terminal[1], termios.TCOON)
        stream.write("next")
    assert os.read(terminal[0], 1_000) == b"next"


def test_outside_a_notebook_no_notebook_is_seen() -> None:
    assert not in_notebook()
    assert not isinstance(find_surface(), NotebookCell)
