"""Calls on a process that somebody else owns: the same deadlines, and nothing else to decide."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from safe_llm.errors import CallTimeout
from safe_llm.supervise.call import Call
from safe_llm.supervise.states import SupervisorStatistics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from safe_llm.errors import EngineDied
    from safe_llm.limits import Limits
    from safe_llm.supervise.deadline import Overdue
    from safe_llm.supervise.portal import Portal


class Attached:
    """What a ``Supervisor`` is to its callers, for a process that is not ours."""

    def __init__(self, name: str, portal: Portal) -> None:
        self._name = name
        self._portal = portal
        self._calls: set[Call] = set()

    @asynccontextmanager
    async def call(self, limits: Limits) -> AsyncIterator[Call]:
        """Bound the work inside the block by ``limits``; raises ``CallTimeout``."""
        call = Call(limits, self._portal.clock, self._overdue)
        self._calls.add(call)
        try:
            with self._portal.ticking(call.tick), call.scope:
                call.is_ready()
                yield call
        finally:
            self._calls.discard(call)
        if call.error is not None:
            raise call.error

    async def death_of(self, grace: float) -> EngineDied | None:
        """Return None: whether it died cannot be known from here."""
        del grace
        return None

    async def stop(self, reason: str = "close()") -> None:
        """Leave it alone: it is not ours."""
        del reason

    def statistics(self) -> SupervisorStatistics:
        """Return what can be known: the calls in flight."""
        return SupervisorStatistics(
            state="ready",
            pids=(),
            uptime=0.0,
            restarts=0,
            calls_in_flight=len(self._calls),
            stdout_bytes=0,
            stderr_bytes=0,
            dropped_bytes=0,
            last_lines=(),
        )

    def _overdue(self, call: Call, overdue: Overdue) -> None:
        call.end(
            CallTimeout(
                engine=self._name,
                layer=overdue.layer,
                limit=overdue.limit,
                elapsed=overdue.elapsed,
                hint="the server is not ours: nothing but the call was ended",
            )
        )
