"""Events become log records; a log that blocks, fails or is full costs records and nothing else."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from safe_llm import events
from safe_llm.events import (
    DescendantSwept,
    EngineChosen,
    Event,
    LayerTripped,
    LineWritten,
    ObserverFailed,
    PipeLeaked,
    ProcessExited,
    ProcessReady,
    ProcessStarted,
    Progressed,
    RestartScheduled,
    StreamFailed,
)
from safe_llm.observers.dispatcher import Dispatcher
from safe_llm.observers.logs import LogObserver, describe, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND = 10.0
LOG = LogObserver()
ROOT = Path(__file__).parents[3]

WORDINGS: list[tuple[Event, tuple[str, int, str] | None]] = [
    (
        LineWritten(source="qwen-1.5b", stream="stderr", text="100 %s", level=logging.ERROR),
        ("safe_llm.engine.qwen-1_5b", logging.ERROR, "100 %s"),
    ),
    (
        EngineChosen(source="e", because="no other was found"),
        ("safe_llm.process", logging.INFO, "e: was chosen: no other was found"),
    ),
    (
        ProcessStarted(source="e", pid=7, argv=("llama-server", "--alias", "a b")),
        ("safe_llm.process", logging.INFO, "e (pid 7): started: llama-server --alias 'a b'"),
    ),
    (
        ProcessReady(source="e", pid=7, after=1.23456),
        ("safe_llm.process", logging.INFO, "e (pid 7): ready after 1.23 s"),
    ),
    (
        ProcessExited(source="e", status="exit code 0", wanted=True),
        ("safe_llm.process", logging.INFO, "e: ended as asked: exit code 0"),
    ),
    (
        ProcessExited(source="e", status="signal 9", wanted=False),
        ("safe_llm.process", logging.WARNING, "e: ended by itself: signal 9"),
    ),
    (
        Progressed(source="e", what="loading", fraction=0.25),
        ("safe_llm.process", logging.DEBUG, "e: loading 25%"),
    ),
    (
        Progressed(source="e", what="loading", fraction=None),
        ("safe_llm.process", logging.DEBUG, "e: loading"),
    ),
    (
        LayerTripped(source="e", layer="L5 flood", detail="11 MiB in 2 s", action="killed"),
        ("safe_llm.process", logging.WARNING, "e: L5 flood: 11 MiB in 2 s; killed"),
    ),
    (
        RestartScheduled(source="e", attempt=2, delay=0.2),
        (
            "safe_llm.process",
            logging.WARNING,
            "e: will be started again in 0.2 s (attempt 2)",
        ),
    ),
    (
        PipeLeaked(source="e", stream="stdout"),
        (
            "safe_llm.process",
            logging.WARNING,
            "e: is dead, but somebody else holds its stdout; closed on our side",
        ),
    ),
    (
        DescendantSwept(source="e", victim=9, command="sleep"),
        (
            "safe_llm.process",
            logging.WARNING,
            "e: left process 9 behind, which was killed: sleep",
        ),
    ),
    (
        StreamFailed(source="e", stream="stderr", reason="EIO"),
        ("safe_llm.process", logging.WARNING, "e: stderr cannot be read and was closed: EIO"),
    ),
    (ObserverFailed(source="e", observer="o", reason="r"), None),
]


@pytest.mark.parametrize(("event", "said"), WORDINGS)
def test_each_event_has_its_words(event: Event, said: tuple[str, int, str] | None) -> None:
    assert describe(event) == said


def test_no_kind_of_event_is_forgotten() -> None:
    kinds = {
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    }
    assert {type(event) for event, _ in WORDINGS} == kinds


def test_a_long_line_is_cut_and_says_how_long_it_was() -> None:
    assert shorten("short") == "short"
    cut = shorten("ä" * 10_000)
    assert cut.endswith(" … 20000 bytes in all")
    assert len(cut.encode()) <= 3_072


def test_a_record_has_the_time_of_its_event(caplog: pytest.LogCaptureFixture) -> None:
    event = LineWritten(
        source="e", pid=7, at=1_000.25, stream="stderr", text="50 % done", level=logging.WARNING
    )
    LogObserver()(event)
    (record,) = caplog.records
    assert (record.created, record.msecs) == (1_000.25, 250)
    assert record.getMessage() == "50 % done"
    assert vars(record)["source_pid"] == 7


def test_what_is_switched_off_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "safe_llm.engine"):
        LogObserver()(LineWritten(source="e", stream="stderr", text="x", level=logging.INFO))
    assert caplog.records == []


class FailingHandler(logging.Handler):
    """What a handler without ``handleError`` does when the disk is full."""

    def emit(self, record: logging.LogRecord) -> None:
        raise OSError(28, "No space left on device")


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """Give back the root logger as it was."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield root
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)


def test_a_handler_that_raises_is_counted_and_goes_on_being_called(
    root_logger: logging.Logger,
) -> None:
    root_logger.addHandler(FailingHandler())
    others: list[Event] = []
    dispatcher = Dispatcher()
    for _ in range(5):
        event = LineWritten(source="e", stream="stderr", text="x", level=logging.ERROR)
        dispatcher.post(event, (LOG, others.append))
    assert dispatcher.flush(BOUND)
    assert dispatcher.flush(BOUND)
    # Five records, and the one that would say so: it meets the same full disk.
    assert dispatcher.statistics().failed == 6
    told = [event for event in others if isinstance(event, ObserverFailed)]
    assert [event.observer for event in told] == ["LogObserver", "LogObserver"]
    assert "No space left on device" in told[0].reason
    assert len(others) == 7


def test_a_full_disk_under_a_standard_handler_is_survived(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logging.FileHandler("/dev/full")
    root_logger.addHandler(handler)
    seen: list[Event] = []
    dispatcher = Dispatcher()
    for _ in range(3):
        event = LineWritten(source="e", stream="stderr", text="x", level=logging.ERROR)
        dispatcher.post(event, (LOG, seen.append))
    assert dispatcher.flush(BOUND)
    assert len(seen) == 3
    assert "No space left on device" in capsys.readouterr().err
    with pytest.raises(OSError, match="No space left"):
        handler.close()


def run_with_full_stderr(what: str) -> list[str]:
    program = Path(__file__).with_name("full_stderr.py")
    ended = subprocess.run(
        [sys.executable, str(program), what],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        timeout=15,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    return ended.stdout.decode().split()


def test_a_handler_blocked_by_our_own_full_stderr_delays_neither_poster_nor_others() -> None:
    flushed, seen, lost, blocked = run_with_full_stderr("stuck")
    assert (flushed, seen, lost, blocked) == ("True", "101", "100", "1")


def test_the_log_observer_leaves_out_what_would_block_and_the_interpreter_can_exit() -> None:
    before, after, written, logger, _text = run_with_full_stderr("careful")
    assert (before, after, logger) == ("10", "10", "safe_llm.engine.engine")
    assert int(written) <= 4_096
