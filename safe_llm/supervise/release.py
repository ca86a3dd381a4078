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
    from safe_llm.supervise.program import Program

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
        self._left_at = 0.0
        self._limits: Limits | None = None

    def was_left(self, limits: Limits) -> None:
        """A call was left just now; its limits count."""
        self._left_at = self._portal.clock.now()
        self._limits = limits

    async def wait(self) -> Suspicion | None:
        """Return when all work was given back, or what is to be said where it was not in time."""
        cpu_seconds = self._cpu_seconds()
        while (limits := self._limits) is not None and self.child.exit_status is None:
            busy: int | None = None
            with self._portal.within(limits.release):
                busy = await self._program.busy_calls(self.child)
            if busy is not None and busy <= self._in_flight():
                return None
            before, cpu_seconds = cpu_seconds, self._cpu_seconds()
            # What evaluates a long prompt can neither answer nor be interrupted: that is L4's.
            evaluates = busy is None and cpu_seconds - before > CPU_NOISE
            limit = limits.job if evaluates else limits.release
            elapsed = self._portal.clock.now() - self._left_at
            if limit is not None and elapsed > max(limit, limits.release):
                return Suspicion("L1 release", limit, elapsed, _complaint(busy))
            await anyio.sleep(_LOOK)
        return None

    def _cpu_seconds(self) -> float:
        return session_cpu_seconds(self.child.pid) or 0.0


def _complaint(busy: int | None) -> str:
    seen = "nothing: it does not answer" if busy is None else f"{busy} calls"
    return f"an ended call's work was not given back; it works on {seen}"
