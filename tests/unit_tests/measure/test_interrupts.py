from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.measure.interrupts import (
    held_interrupts,
    kept_interrupts,
    made_whole,
    termination_interrupts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_an_interrupt_waits_for_the_end_of_the_block() -> None:
    done = []

    def work() -> None:
        with held_interrupts():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("the block")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["the block"]


def test_without_an_interrupt_nothing_is_raised_and_the_handler_is_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with held_interrupts():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_of_the_block_comes_first() -> None:
    before = signal.getsignal(signal.SIGINT)

    def work() -> None:
        with held_interrupts():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("of the block")

    with pytest.raises(ValueError, match="of the block"):
        work()
    assert signal.getsignal(signal.SIGINT) is before


class InterruptedAtItsEnd:
    """Ctrl-C is pressed while its finalizer runs."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_a_finalizer_has_lost_comes_again() -> None:
    went_on = []

    def work() -> None:
        InterruptedAtItsEnd()
        went_on.append("after the finalizer")
        threading.Event().wait(10)

    with pytest.raises(KeyboardInterrupt), kept_interrupts():
        work()
    assert went_on == ["after the finalizer"]


def test_any_other_error_of_a_finalizer_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: told.append(one.exc_type))

    class Fails:
        def __del__(self) -> None:
            raise ValueError

    with kept_interrupts():
        Fails()
    Fails()
    assert told == [ValueError, ValueError]


def test_a_context_is_entered_and_left_with_interrupts_held() -> None:
    done = []

    @contextmanager
    def made() -> Iterator[str]:
        signal.raise_signal(signal.SIGINT)
        done.append("made")
        try:
            yield "it"
        finally:
            done.append("removed")

    with pytest.raises(KeyboardInterrupt), made_whole(made()):
        done.append("used")
    assert done == ["made", "removed"]


@pytest.mark.parametrize("usual", [signal.default_int_handler, signal.SIG_IGN])
def test_a_sigterm_is_an_interrupt_also_where_ctrl_c_is_ignored(usual: Any) -> None:
    before = signal.signal(signal.SIGINT, usual), signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(KeyboardInterrupt), termination_interrupts():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == before[1]
    finally:
        signal.signal(signal.SIGINT, before[0])


def test_a_sigterm_is_held_as_ctrl_c_is() -> None:
    done = []

    def work() -> None:
        with termination_interrupts(), held_interrupts():
            signal.raise_signal(signal.SIGTERM)
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["all of it"]
