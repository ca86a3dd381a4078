"""Whether a process gives back the work of calls that were left early. Stops nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from safe_llm.diagnose.procfs import session_cpu_seconds
from safe_llm.supervise.watchdog import CPU_NOISE, Suspicion

if TYPE_CHECKING:
    from collections.abc import Callable

    from safe_llm.limits import Limits
    from safe_llm.process.child import Child
    from safe_llm.supervise.portal import Portal
    from safe_llm.supervise.program import Busy, Program

_LOOK = 0.05  # seconds between two looks: a slot is free 0.14 to 0.26 s after its client left


class Release:
    """One wait for all calls that were left on one process, however many there were."""

    def __init__(
        self, child: Child, program: Program, portal: Portal, in_flight: Callable[[], int]
    ) -> None:
        self.child = child
        self._program = program
        self._portal = portal
        self._in_flight = in_flight
        self._left_at = self._worked_at = 0.0
        self._cpu_seconds = 0.0
        self._limits: Limits | None = None

    def was_left(self, limits: Limits) -> None:
        """A call was left just now; its limits count."""
        self._left_at = self._portal.clock.now()
        self._limits = limits

    async def wait(self) -> Suspicion | None:
        """Return when all work was given back, or what is to be said where it was not in time."""
        while (limits := self._limits) is not None and self.child.exit_status is None:
            busy: Busy | None = None
            with self._portal.within(limits.release):
                busy = await self._program.busy(self.child)
            if busy is not None and busy.calls <= self._in_flight():
                return None
            self._note_work()
            overdue = self._overdue(busy, limits)
            if overdue is not None:
                return Suspicion("L1 release", *overdue, _complaint(busy))
            await anyio.sleep(_LOOK)
        return None

    def _note_work(self) -> None:
        cpu_seconds = session_cpu_seconds(self.child.pid) or 0.0
        if cpu_seconds - self._cpu_seconds > CPU_NOISE:  # slow work must add up
            self._cpu_seconds, self._worked_at = cpu_seconds, self._portal.clock.now()

    def _overdue(self, busy: Busy | None, limits: Limits) -> tuple[float, float] | None:
        """The limit that is exceeded, and the seconds since the last call was left."""
        now = self._portal.clock.now()
        since, elapsed = self._left_at, now - self._left_at
        if busy is None or busy.uninterruptible:
            # Nothing can interrupt the evaluation of a prompt, and it may take minutes.
            since = max(since, self._worked_at)
        if now - since > limits.release:
            return limits.release, elapsed
        if limits.job is not None and elapsed > max(limits.job, limits.release):
            return limits.job, elapsed
        return None


def _complaint(busy: Busy | None) -> str:
    seen = "nothing: it does not answer" if busy is None else f"{busy.calls} calls"
    return f"an ended call's work was not given back; it works on {seen}"
