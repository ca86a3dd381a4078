"""Several supervised processes that do the same work, one call each, and one queue before them.

The queue is served in the order of arrival. A call waits in it for its turn and not at a process,
so that the death of one costs the call that it was working on and no other.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import anyio

from safe_llm.errors import CallTimeout, EngineDied, SafeLlmError
from safe_llm.supervise.call import Call
from safe_llm.supervise.in_flight import CallsInFlight
from safe_llm.supervise.states import SupervisorStatistics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from safe_llm.limits import Limits
    from safe_llm.supervise.deadline import Overdue
    from safe_llm.supervise.portal import Portal
    from safe_llm.supervise.program import Program
    from safe_llm.supervise.states import State
    from safe_llm.supervise.supervisor import Supervisor

P = TypeVar("P", bound="Program")

# Who takes the next call, and what a crew is said to be: the first of these that anybody is.
_BEST_FIRST: tuple[State, ...] = (
    "ready",
    "starting",
    "restarting",
    "idle",
    "stopping",
    "failed",
)


class Member(NamedTuple, Generic[P]):
    """A program and who looks after it."""

    program: P
    supervisor: Supervisor


class Crew(Generic[P]):
    """The members, and the calls that wait for one of them."""

    def __init__(self, name: str, members: Sequence[Member[P]], portal: Portal) -> None:
        self._name = name
        self._members = tuple(members)
        self._portal = portal
        self._free = list(members)  # whoever has been free for longest comes first
        self._turns = anyio.Semaphore(len(members))  # first come, first served
        self._queue = CallsInFlight()

    @asynccontextmanager
    async def call(self, limits: Limits) -> AsyncIterator[tuple[Member[P], Call]]:
        """Have a member for this call alone, ready, and the work bounded by ``limits``.

        The time in the queue counts as the engine's work does. Raises what ends the call, as
        ``Supervisor.call`` does.
        """
        began = self._portal.clock.now()
        member = await self._take_turn(limits)
        try:
            queued = self._portal.clock.now() - began
            async with member.supervisor.call(limits, queued) as call:
                yield member, call
        finally:
            self._free.append(member)
            self._turns.release()

    async def start(self, limits: Limits) -> None:
        """Have all members ready."""
        errors: list[SafeLlmError] = []
        async with anyio.create_task_group() as tasks:
            for member in self._members:
                tasks.start_soon(self._start, member, limits, errors)
        if errors:
            raise errors[0]

    async def stop(self, reason: str = "close()") -> None:
        """End the calls, those in the queue too, and stop all members by their policy."""
        stopped = partial(
            EngineDied, engine=self._name, exit_status="it was being stopped", reason=reason
        )
        self._queue.end_all(stopped)
        async with anyio.create_task_group() as tasks:
            for member in self._members:
                tasks.start_soon(member.supervisor.stop, reason)

    def statistics(self) -> SupervisorStatistics:
        """Return an immutable snapshot of all together. May be called from any thread."""
        seen = [member.supervisor.statistics() for member in self._members]
        return SupervisorStatistics(
            state=min((one.state for one in seen), key=_BEST_FIRST.index),
            pids=tuple(pid for one in seen for pid in one.pids),
            uptime=max(one.uptime for one in seen),
            restarts=sum(one.restarts for one in seen),
            calls_in_flight=len(self._queue) + sum(one.calls_in_flight for one in seen),
            stdout_bytes=sum(one.stdout_bytes for one in seen),
            stderr_bytes=sum(one.stderr_bytes for one in seen),
            dropped_bytes=sum(one.dropped_bytes for one in seen),
            last_lines=max((one.last_lines for one in seen), key=len),
        )

    async def _take_turn(self, limits: Limits) -> Member[P]:
        call = Call(limits, self._portal.clock, self._overdue)
        self._queue.begin(call)
        try:
            with self._portal.ticking(call.tick), call.scope:
                call.is_ready()  # its limits run as if the engine had it: that is what waiting is
                await self._turns.acquire()
                return self._next()
        finally:
            self._queue.finish(call)
        raise call.error or AssertionError(self._name)

    def _next(self) -> Member[P]:
        member = min(self._free, key=lambda one: _BEST_FIRST.index(one.supervisor.state))
        self._free.remove(member)
        return member

    async def _start(self, member: Member[P], limits: Limits, errors: list[SafeLlmError]) -> None:
        try:
            async with member.supervisor.call(limits):
                pass
        except SafeLlmError as error:  # a task group would wrap it into a group of one
            errors.append(error)

    def _overdue(self, call: Call, overdue: Overdue) -> None:
        call.end(
            CallTimeout(
                engine=self._name,
                layer=overdue.layer,
                limit=overdue.limit,
                elapsed=overdue.elapsed,
                diagnosis=f"it waited for its turn, as {len(self._queue) - 1} others do,"
                f" while {len(self._members)} at a time are served",
                hint="more of them at a time: n_workers, which LlamaCpp calls n_parallel",
            )
        )
