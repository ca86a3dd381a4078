"""A stop policy is carried out rung by rung, whatever its rungs are, and ends by force."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from safe_llm.limits import StopPolicy, StopStep
from safe_llm.process.stop import Stopping, without_asking
from safe_llm.process.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable

    from safe_llm.process.timers import Timer

TERM, KILL, CONT = int(signal.SIGTERM), int(signal.SIGKILL), int(signal.SIGCONT)


class Recorder:
    """A child that never ends, on a clock that is moved by hand."""

    def __init__(self, *, has_stdin: bool = True) -> None:
        self.done: list[tuple[float, object]] = []
        self.now = 0.0
        self.timers = Timers()
        self._has_stdin = has_stdin

    def close_stdin(self) -> bool:
        self.done.append((self.now, "close_stdin"))
        return self._has_stdin

    def signal_group(self, number: int) -> None:
        self.done.append((self.now, int(number)))

    def give_up(self) -> None:
        self.done.append((self.now, "give up"))

    def call_later(self, delay: float, action: Callable[[], object]) -> Timer:
        return self.timers.add(self.now + delay, action)

    def run(self) -> list[tuple[float, object]]:
        while (delay := self.timers.delay(self.now)) is not None:
            self.now += delay
            for action in self.timers.take_due(self.now):
                action()
        return self.done


def carry_out(policy: StopPolicy, child: Recorder) -> Stopping:
    stopping = Stopping(child, policy, child.call_later)
    stopping.advance()
    return stopping


def test_the_default_policy_closes_stdin_asks_and_then_kills() -> None:
    child = Recorder()
    carry_out(StopPolicy(), child)
    assert child.run() == [
        (0.0, "close_stdin"),
        (0.0, CONT),
        (2.0, TERM),
        (2.0, CONT),
        (12.0, KILL),
        (17.0, "give up"),
    ]


def test_nothing_is_waited_for_where_there_was_no_stdin_to_close() -> None:
    child = Recorder(has_stdin=False)
    carry_out(StopPolicy(), child)
    assert child.run()[1] == (0.0, TERM)


def test_a_policy_that_forgets_sigkill_ends_by_force_all_the_same() -> None:
    child = Recorder()
    carry_out(StopPolicy(steps=(StopStep(signal.SIGTERM, 1.0),)), child)
    assert child.run() == [(0.0, TERM), (0.0, CONT), (1.0, KILL), (6.0, "give up")]


def test_a_cancelled_stop_climbs_no_further() -> None:
    child = Recorder()
    stopping = carry_out(StopPolicy(), child)
    stopping.cancel()
    assert child.run() == [(0.0, "close_stdin"), (0.0, CONT)]
    stopping.advance()  # its timer may have been on its way
    assert (0.0, "give up") in child.run()


def test_a_runaway_is_not_asked_by_the_end_of_its_stdin() -> None:
    child = Recorder()
    carry_out(without_asking(StopPolicy(sweep="group")), child)
    assert child.run()[0] == (0.0, TERM)
    assert without_asking(StopPolicy(sweep="group")).sweep == "group"
