"""Odd bytes: endless lines, lines without an end, and bytes that are no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import safe_llm
from tests.children import python_child
from tests.controls.verdict import Reason, run_control

if TYPE_CHECKING:
    from tests.faults.conftest import Figure

pytestmark = pytest.mark.usefixtures("oracle")

MB = 1_000_000


@pytest.mark.row(5)
def test_a_line_of_100_mb_is_cut_and_counted_and_the_conversation_goes_on(figure: Figure) -> None:
    with (
        figure("a line of 100 MB, and the next answer"),
        safe_llm.spawn(python_child("long_line", 100 * MB)) as child,
    ):
        lines = child.stdout.lines(timeout=15)
        child.stdin.write(b"first\n")
        kept = next(lines)
        lost = lines.truncated_bytes + child.stdout.statistics().dropped_bytes
        assert len(kept) + lost == 100 * MB
        child.stdin.write(b"second\n")
        assert next(lines) == "second"


@pytest.mark.row(5)
def test_a_line_beyond_its_limit_ends_the_popular_drain() -> None:
    outcome = run_control("N", python_child("long_line", 100 * MB), "ask_twice")
    assert (outcome.reason, outcome.descriptor) == (Reason.BLOCKED_IN_WRITE, 1), outcome
    assert any(one.startswith("ValueError") for one in outcome.task_errors), outcome


@pytest.mark.row(6)
def test_dots_without_a_newline_are_seen_and_count_as_progress() -> None:
    with safe_llm.spawn(python_child("dots", 50, 0.001)) as child:
        assert child.stderr.changed.wait_until(lambda: child.stderr.received_bytes == 50, 10)
        assert child.stderr.tail() == b"." * 50
        assert child.last_words() == "." * 50
        assert child.stderr.last_byte_at is not None
        assert child.statistics().silent_for < child.statistics().age


@pytest.mark.row(6)
def test_a_line_that_is_redrawn_is_a_line_each_time() -> None:
    with safe_llm.spawn(python_child("carriage_return", 20)) as child:
        lines = child.stderr.lines(timeout=10)
        seen = [next(lines) for _ in range(20)]  # the last one ends with nothing at all
        assert seen[1:] == [f"loading {step:3d} of 20" for step in range(1, 20)]


@pytest.mark.row(7)
def test_bytes_that_are_no_text_end_no_drain_and_are_harmless_when_shown(figure: Figure) -> None:
    with (
        figure("bad bytes, then 20 MB of decent log"),
        safe_llm.spawn(python_child("bad_bytes", 20 * MB, "both")) as child,
    ):
        lines = list(child.stdout.lines(timeout=15))
        assert lines[-1] == "answer"
        assert lines[0] == "\ufffd\ufffd not UTF-8"
        assert child.wait(15).code == 0
        assert child.stderr.received_bytes > 20 * MB
    with safe_llm.spawn(python_child("bad_bytes", 0)) as child:
        child.wait(10)
        shown = child.last_words()
        assert "NUL:  and more" in shown
        assert not set(shown) & {"\x1b", "\x9b", "\0", "\x07", "\r"}


@pytest.mark.row(7)
def test_a_byte_that_is_no_utf_8_ends_the_popular_drain() -> None:
    outcome = run_control("N", python_child("bad_bytes", 20 * MB), "ask")
    assert (outcome.reason, outcome.descriptor) == (Reason.BLOCKED_IN_WRITE, 2), outcome
    assert any(one.startswith("UnicodeDecodeError") for one in outcome.task_errors), outcome
