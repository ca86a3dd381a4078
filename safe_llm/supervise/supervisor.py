"""Keeps one program ready for calls: starts it at the first, watches, restarts and stops it.

Everything here runs on the portal. It speaks no protocol: what the program is and how it is
asked is told by a ``Program``. What state follows which is said by the table in ``states``.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import anyio

from safe_llm.errors import EngineDied, NotReady, SafeLlmError
from safe_llm.events import Event, LayerTripped, ProcessReady, RestartScheduled
from safe_llm.observers.dispatcher import dispatcher
from safe_llm.process.hub import hub
from safe_llm.process.waking import Signal
from safe_llm.supervise import obituary
from safe_llm.supervise.call import Call
from safe_llm.supervise.deadline import Overdue
from safe_llm.supervise.in_flight import CallsInFlight
from safe_llm.supervise.life import Life
from safe_llm.supervise.release import Release
from safe_llm.supervise.states import MOVES, WANTED, State, SupervisorStatistics
from safe_llm.supervise.watchdog import Suspicion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from safe_llm.errors import CallTimeout, RestartLimitReached, StartupFailed
    from safe_llm.events import Observer
    from safe_llm.limits import Limits, StopPolicy
    from safe_llm.process.child import Child
    from safe_llm.process.command import Command
    from safe_llm.supervise.portal import Portal
    from safe_llm.supervise.program import Program
    from safe_llm.supervise.restart import RestartPolicy

_REMEMBERED_CRASHES = 100
_IDLE_LOOK = 0.05
_SHOWN_LINES = 5
_CLOSE_SLACK = 5.0  # on top of a stop policy: for the sweep, and a machine that is short of all


@dataclass(eq=False)
class _Attempt:
    """One wait for readiness, shared by all calls that came meanwhile."""

    done: Signal = field(default_factory=Signal)
    error: SafeLlmError | None = None

    def end(self, error: SafeLlmError | None = None) -> None:
        self.error = error
        self.done.set()


class Supervisor:
    """One program, its incarnations, and the calls in flight on it."""

    def __init__(
        self,
        program: Program,
        portal: Portal,
        *,
        limits: Limits,
        stop_policy: StopPolicy,
        restart_policy: RestartPolicy,
        idle_timeout: float | None = None,
        observers: tuple[Observer, ...] = (),
    ) -> None:
        self.limits = limits
        self.state: State = "idle"
        self.child: Child | None = None
        self.restarts = 0
        self.calls = CallsInFlight()
        self._program = program
        self._portal = portal
        self._stop_policy = stop_policy
        self._restart_policy = restart_policy
        self._idle_timeout = idle_timeout
        self._observers = observers
        self._crashes: deque[float] = deque(maxlen=_REMEMBERED_CRASHES)
        self._buried: Child | None = None
        self._attempt: _Attempt | None = None  # there is one while starting or restarting
        self._interruptible: anyio.CancelScope | None = None
        self._release: Release | None = None
        self._witness = obituary.Witness()
        self._rests_in: State = "idle"  # once it has stopped
        self._stopped = Signal()
        self._used_at = self._ready_at = self._began_at = 0.0

    # -- calls

    @asynccontextmanager
    async def call(self, limits: Limits, queued: float = 0.0) -> AsyncIterator[Call]:
        """Have the program ready, and its work inside the block bounded by ``limits``.

        ``queued`` are the seconds that the call has waited elsewhere before, and they count.

        Raises what ends the call: ``CallTimeout``, ``EngineDied``, ``StartupFailed``,
        ``RestartLimitReached``.
        """
        call = Call(limits, self._portal.clock, self._overdue, queued)
        self.calls.begin(call)
        clean = False
        try:
            with self._portal.ticking(call.tick), call.scope:
                await self._until_ready()
                call.is_ready()
                yield call
                clean = True
        finally:
            self.calls.finish(call)
            self._used_at = self._now
            if not clean and call.times.ready is not None:
                self._see_to_release(limits)
        if call.error is not None:
            raise call.error

    async def death_of(self, grace: float) -> EngineDied | None:
        """Wait up to ``grace`` seconds whether the process turns out to have died."""
        child = self.child
        if child is not None and await child.exited.wait_async(grace):
            self.has_exited()
            return obituary.death(self._program.name, child)
        return None

    async def _until_ready(self) -> None:
        while not self._serves():
            if self.state == "stopping":
                await self._stopped.wait_async()
                continue
            attempt = self._attempt or self._begin()
            await attempt.done.wait_async()
            if attempt.error is not None:
                raise attempt.error

    def _serves(self) -> bool:
        child = self.child
        if self.state == "ready" and child is not None and child.exit_status is not None:
            self.has_exited()  # the caller is faster than the task that waits for the exit
        return self.state == "ready"

    def _overdue(self, call: Call, overdue: Overdue) -> None:
        is_start = overdue.layer == "L1 start" and self._attempt is not None
        if is_start and overdue.limit >= (self.limits.start or math.inf):
            self.stays_silent()  # what is too late for this call is so for the process
            return
        call.end(self._timeout(overdue))
        if overdue.layer == "L4 job":
            self.suspect(Suspicion(overdue.layer, overdue.limit, overdue.elapsed, "a call overran"))

    def _see_to_release(self, limits: Limits) -> None:
        """A call was left early: have its work stopped, by way of the process if need be."""
        child, release = self.child, self._release
        if child is None or self.state != "ready":
            return
        if release is None or release.child is not child:
            release = Release(child, self._program, self._portal, lambda: len(self.calls))
            self._release = release
            self._portal.spawn_task(
                partial(self._await_release, release), f"{self._program.name}: release"
            )
        release.was_left(limits)

    async def _await_release(self, release: Release) -> None:
        suspicion = await release.wait()
        if self._release is release:
            self._release = None
        if suspicion is not None and release.child is self.child:
            self.suspect(suspicion)

    # -- life

    def _begin(self) -> _Attempt:
        crashes, now = self._crashes, self._now
        delay: float | None = 0.0
        if self._restart_policy.recent(crashes, now):
            delay = self._restart_policy.delay(crashes, now)
        if delay is None:
            raise self._too_many_crashes()
        self._move("starting")
        self._stopped.clear()
        self._began_at = now
        self._attempt = attempt = _Attempt()
        self._portal.spawn_task(partial(self._run, delay), self._program.name)
        return attempt

    async def _run(self, delay: float) -> None:
        """Live, and live again after a crash, until stopped or given up."""
        try:
            while self.state in WANTED:
                with anyio.CancelScope() as self._interruptible:
                    await anyio.sleep(delay)
                    await self._live()
                delay = self._pause_before_restart()
        except SafeLlmError as error:
            self._leave("failed", error)
        except Exception as error:
            self._leave("failed", self._not_ready(repr(error)))
            raise
        finally:
            self._settle()

    async def _live(self) -> None:
        """One incarnation, from its preparation to the last of its pipes."""
        try:
            command = await self._program.prepare()
            with anyio.CancelScope(shield=True):  # from here on it is stopped, not interrupted
                await self._accompany(command)
        finally:
            with anyio.CancelScope(shield=True):
                await self._program.clean_up()

    async def _accompany(self, command: Command) -> None:
        if self.state not in WANTED:
            return
        child = hub().request_spawn(
            command,
            name=self._program.name,
            limits=self.limits.with_changes(job=None),  # L4 is a call's, not the engine's
            stop_policy=self._stop_policy,
            observers=self._observers,
        )
        self.child = await child.wait_spawned_async()
        try:
            if self.state in WANTED:
                await Life(child, self._program, self, self._portal).run()
        finally:
            child.begin_stop(reason="nobody watches over it")  # mostly it has ended already
            await child.closed.wait_async(self._stop_policy.longest + _CLOSE_SLACK)

    def _pause_before_restart(self) -> float:
        if self.state not in WANTED:
            return 0.0
        delay = self._restart_policy.delay(self._crashes, self._now)
        if delay is None:
            raise self._too_many_crashes()
        self.restarts += 1
        self._began_at = self._now + delay
        self._emit(RestartScheduled(source=self._program.name, attempt=self.restarts, delay=delay))
        return delay

    def _move(self, to: State) -> None:
        if to not in MOVES[self.state]:
            raise AssertionError(self.state, to)
        self.state = to

    def _leave(self, rests_in: State, error: SafeLlmError, reason: str = "") -> None:
        """Serve nobody any more and begin to stop. Waits for nothing."""
        if self.state not in WANTED:
            return
        self._move("stopping")
        self._rests_in = rests_in
        self._end_attempt(error)
        if self._interruptible is not None:
            self._interruptible.cancel()
        if self.child is not None:
            self.child.begin_stop(reason=reason)

    def _settle(self) -> None:
        self._leave("failed", self._not_ready("it was abandoned"))
        self._move(self._rests_in)
        self._stopped.set()

    def _end_attempt(self, error: SafeLlmError | None = None) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.end(error)

    # -- the end, wanted or not

    def begin_stop(self, reason: str) -> None:
        """End the calls, also those that wait for a start, and begin to stop the process."""
        stopped = partial(
            EngineDied, engine=self._program.name, exit_status="it was being stopped", reason=reason
        )
        self.calls.end_all(stopped)
        self._leave("idle", stopped(), reason)

    async def stop(self, reason: str = "close()") -> None:
        """End the calls, stop the process by its policy, and wait until nothing is left."""
        self.begin_stop(reason)
        if self.state == "stopping":
            await self._stopped.wait_async(self._stop_policy.longest + 2 * _CLOSE_SLACK)

    def suspect(self, suspicion: Suspicion) -> None:
        """Go up the ladder: everything that catches a process in use ends here."""
        child = self.child
        if self.state != "ready" or child is None or child.exit_status is not None:
            return
        self._emit(
            LayerTripped(
                source=self._program.name,
                pid=child.pid,
                layer=suspicion.layer,
                detail=suspicion.detail,
                action="stop",
            )
        )
        overdue = Overdue(suspicion.layer, suspicion.limit, suspicion.elapsed)
        self.calls.end_all(partial(self._timeout, overdue))
        self._wait_for_restart()
        child.begin_stop(reason=f"{suspicion.layer}: {suspicion.detail}")

    def has_exited(self) -> None:
        """Tell the calls, once, and decide what their successors wait for."""
        child = self.child
        if child is None or self._buried is child:
            return
        self._buried = child
        self.calls.end_served(partial(obituary.death, self._program.name, child))
        if self.state in WANTED:
            self._crashes.append(self._now)
        if self.state == "ready":
            self._wait_for_restart()
        elif self.state == "starting":  # what cannot even start is not started again by itself
            waited = self._now - self._began_at
            self._leave("failed", obituary.death_before_use(self._program.name, child, waited))

    def _wait_for_restart(self) -> None:
        self._move("restarting")
        self._attempt = _Attempt()

    # -- what else a Life asks and tells (`life.Keeper`)

    @property
    def is_ready(self) -> bool:
        """Whether calls are being served."""
        return self.state == "ready"

    def became_ready(self) -> None:
        """Let the calls that wait begin."""
        if self.state not in WANTED:
            return
        self._move("ready")
        self._ready_at = self._used_at = self._now
        self._end_attempt()
        self._emit(
            ProcessReady(
                source=self._program.name,
                pid=self.child.pid if self.child else None,
                after=self._now - self._began_at,
            )
        )

    def will_not_be_ready(self, error: StartupFailed) -> None:
        """Fail the calls that wait, and stop it."""
        self._leave("failed", error, error.what_happened())

    def stays_silent(self) -> None:
        """Fail the calls that wait for it to answer, and stop it."""
        waited = self._now - self._began_at
        self.will_not_be_ready(obituary.silence(self._program.name, self.child, waited))

    async def leave_when_idle(self) -> None:
        """Stop when no call was in flight for ``idle_timeout`` seconds."""
        while self._idle_timeout is not None:
            left = self._idle_timeout - (self._now - self._used_at)
            if self.state == "ready" and not self.calls and left <= 0:
                self.begin_stop("idle")
                return
            await anyio.sleep(max(left, _IDLE_LOOK))

    # -- words

    def statistics(self) -> SupervisorStatistics:
        """Return an immutable snapshot. May be called from any thread."""
        child = self.child
        running = child is not None and child.exit_status is None
        out = child.stdout.statistics() if child else None
        err = child.stderr.statistics() if child else None
        return SupervisorStatistics(
            state=self.state,
            pids=(child.pid,) if child and running else (),
            uptime=self._now - self._ready_at if self.state == "ready" else 0.0,
            restarts=self.restarts,
            calls_in_flight=len(self.calls),
            stdout_bytes=out.received_bytes if out else 0,
            stderr_bytes=err.received_bytes if err else 0,
            dropped_bytes=(out.dropped_bytes if out else 0) + (err.dropped_bytes if err else 0),
            last_lines=tuple(child.last_words().splitlines()[-_SHOWN_LINES:]) if child else (),
        )

    @property
    def _now(self) -> float:
        return self._portal.clock.now()

    def _emit(self, event: Event) -> None:
        dispatcher().post(event, self._observers)

    def _not_ready(self, reason: str) -> NotReady:
        waited = self._now - self._began_at
        return NotReady(program=self._program.name, reason=reason, waited=waited)

    def _timeout(self, overdue: Overdue) -> CallTimeout:
        seen = self._witness.describe(self.child, self._now)
        return obituary.timeout(self._program.name, self.child, overdue, seen)

    def _too_many_crashes(self) -> RestartLimitReached:
        return obituary.too_many_crashes(self._program.name, self.child, self._restart_policy)
