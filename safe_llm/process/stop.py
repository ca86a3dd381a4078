"""A stop policy being carried out for one child. Policy is data; this is the loop over it."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from safe_llm.limits import StopPolicy, StopStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from safe_llm.process.timers import Timer

KILL_NOW_GRACE = 5.0  # from SIGKILL to the exit; longer means an uninterruptible system call


_KILL_NOW = StopStep(signal.SIGKILL, KILL_NOW_GRACE)


def without_asking(policy: StopPolicy) -> StopPolicy:
    """Return the policy for a runaway, to whom the end of its stdin says nothing."""
    steps = tuple(step for step in policy.steps if step.action != "close_stdin")
    return replace(policy, steps=steps)


class Stoppable(Protocol):
    """What a policy needs of a child. All of it runs on the hub."""

    def close_stdin(self) -> bool:
        """Close its stdin; False when it had none."""

    def signal_group(self, number: int) -> None:
        """Send a signal to all of its group."""

    def give_up(self) -> None:
        """Declare that it cannot be ended."""


class Stopping:
    """One run through a policy's rungs; ``cancel()`` it when the child has exited.

    SIGKILL is the last rung also of a policy that does not name it: nothing is left running.
    """

    def __init__(
        self,
        child: Stoppable,
        policy: StopPolicy,
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self.policy = policy
        self._child = child
        self._call_later = call_later
        ends_by_force = policy.steps and policy.steps[-1].action == signal.SIGKILL
        self._rungs = iter(policy.steps if ends_by_force else (*policy.steps, _KILL_NOW))
        self._timer: Timer | None = None

    def advance(self) -> None:
        """Do the next rung and set the timer for the one after it."""
        for step in self._rungs:
            if self._perform(step):
                self._timer = self._call_later(step.grace, self.advance)
                return
        self._child.give_up()

    def cancel(self) -> None:
        """Climb no further."""
        self._rungs = iter(())
        if self._timer is not None:
            self._timer.cancel()

    def _perform(self, step: StopStep) -> bool:
        """Do one rung; False when there was nothing to do, so that nothing is waited for."""
        if step.action == "close_stdin":
            if not self._child.close_stdin():
                return False
        else:
            self._child.signal_group(step.action)
        if step.action not in (signal.SIGKILL, signal.SIGSTOP):
            # A stopped process reads no end of its stdin, and keeps SIGTERM pending.
            self._child.signal_group(signal.SIGCONT)
        return True
