from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from safe_llm.errors import MisuseError
from safe_llm.limits import NO_LIMITS
from safe_llm.process.clock import RunClock
from safe_llm.supervise.call import Call
from safe_llm.supervise.deadline import Overdue
from tests.unit_tests.supervise.scripted import on_the_portal

if TYPE_CHECKING:
    from collections.abc import Callable


class Story:
    """A call with a limit of one second, the times at which it is looked at, and what was said."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[Overdue] = []
        clock = RunClock(period=1e9, read=lambda: self.now)
        limits = NO_LIMITS.with_changes(total=1.0)
        self.call = Call(limits, clock, lambda _, overdue: self.told.append(overdue))
        self.call.is_ready()

    def look(self, now: float) -> None:
        self.now = now
        self.call.tick(now)


def _on_the_portal(story: Callable[[], None]) -> None:
    async def run() -> None:
        story()

    on_the_portal(run)


def test_a_deadline_counts_when_it_is_seen_twice() -> None:
    def story() -> None:
        one = Story()
        one.look(0.9)
        one.look(1.1)
        assert one.told == []
        one.look(1.2)
        assert one.told == [Overdue("L1 total", 1.0, 1.2)]

    _on_the_portal(story)


def test_what_arrived_between_the_two_looks_saves_the_call() -> None:
    def story() -> None:
        one = Story()
        limits = NO_LIMITS.with_changes(gap=1.0)
        one.call.times.limits = limits
        one.call.heard()
        one.look(1.1)
        one.call.heard()
        one.look(1.2)
        one.look(2.15)
        assert one.told == []

    _on_the_portal(story)


def test_only_the_first_error_counts() -> None:
    def story() -> None:
        call = Story().call
        first, second = MisuseError(reason="first"), MisuseError(reason="second")
        call.end(first)
        call.end(second)
        assert call.error is first
        assert call.scope.cancel_called

    _on_the_portal(story)


@pytest.mark.parametrize("times", [0, 3])
def test_each_sign_of_work_is_counted(times: int) -> None:
    def story() -> None:
        call = Story().call
        for _ in range(times):
            call.heard()
        assert call.tokens == times

    _on_the_portal(story)
