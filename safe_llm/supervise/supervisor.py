"""Keeps one program ready for calls: starts it at the first, watches, restarts and stops it.

Everything here runs on the portal. It speaks no protocol: what the program is and how it is
asked is told by a ``Program``.
"""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import anyio

from safe_llm.diagnose.procfs import snapshot
from safe_llm.errors import (
    CallTimeout,
    EngineDied,
    MisuseError,
    NotReady,
    RestartLimitReached,
    SafeLlmError,
    StartupFailed,
)
from safe_llm.events import Event, LayerTripped, ProcessReady, RestartScheduled
from safe_llm.observers.dispatcher import dispatcher
from safe_llm.process.hub import hub
from safe_llm.process.waking import Signal
from safe_llm.supervise.call import Call
from safe_llm.supervise.life import Life

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from safe_llm.events import Observer
    from safe_llm.limits import Limits, StopPolicy
    from safe_llm.process.child import Child
    from safe_llm.supervise.deadline import Overdue
    from safe_llm.supervise.portal import Portal
    from safe_llm.supervise.program import Program
    from safe_llm.supervise.restart import RestartPolicy
    from safe_llm.supervise.watchdog import Suspicion

State = Literal["idle", "starting", "ready", "restarting", "stopping", "failed"]

_REMEMBERED_CRASHES = 100
_RELEASE_LOOK = 0.05  # seconds between two looks whether an ended call's work was given back
_IDLE_LOOK = 0.05


@dataclass(eq=False)
class _Start:
    """One wait for readiness, shared by all calls that came meanwhile."""

    done: Signal = field(default_factory=Signal)
    error: SafeLlmError | None = None

    def finish(self, error: SafeLlmError | None = None) -> None:
        self.error = error
        self.done.set()


@dataclass(frozen=True, slots=True)
class SupervisorStatistics:
    """A supervised process at one moment. Times in seconds in which this process ran."""

    state: State
    pid: int | None
    uptime: float
    restarts: int
    calls_in_flight: int
    stdout_bytes: int
    stderr_bytes: int
    dropped_bytes: int
    last_lines: tuple[str, ...]


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
        self._dead: Child | None = None
        self.restarts = 0
        self._program = program
        self._portal = portal
        self._stop_policy = stop_policy
        self._restart_policy = restart_policy
        self._idle_timeout = idle_timeout
        self._observers = observers
        self._calls: set[Call] = set()
        self._tokens_of_ended_calls = 0
        self._crashes: deque[float] = deque(maxlen=_REMEMBERED_CRASHES)
        self._start: _Start | None = None
        self._stopped = Signal()
        self._wanted = False
        self._used_at = self._ready_at = self._began_at = 0.0

    # -- calls

    @asynccontextmanager
    async def call(self, limits: Limits) -> AsyncIterator[Call]:
        """Have the program ready, and its work inside the block bounded by ``limits``.

        Raises what ends the call: ``CallTimeout``, ``EngineDied``, ``StartupFailed``,
        ``RestartLimitReached``.
        """
        call = Call(limits, self._portal.clock, self._overdue)
        self._calls.add(call)
        clean = False
        try:
            with self._portal.ticking(call.tick), call.scope:
                await self._until_ready()
                call.is_ready()
                yield call
                clean = True
        finally:
            self._calls.discard(call)
            self._tokens_of_ended_calls += call.tokens
            self._used_at = self._portal.clock.now()
            if not clean and call.times.ready is not None:
                self._portal.spawn_task(self._see_it_given_back, f"{self._program.name}: release")
        if call.error is not None:
            raise call.error

    async def until_ready(self, limits: Limits) -> None:
        """Start the program where it does not run, and wait until it is ready."""
        async with self.call(limits):
            return

    async def death_of(self, grace: float) -> EngineDied | None:
        """Wait up to ``grace`` seconds whether the process turns out to have died."""
        child = self.child
        if child is not None and await child.exited.wait_async(grace):
            self._died(child)
            return self._death(child)
        return None

    async def _until_ready(self) -> None:
        while not self._serves():
            if self._start is None:
                self._begin()
            start = self._start
            if start is None:
                raise AssertionError(self.state)
            await start.done.wait_async()
            if start.error is not None:
                raise start.error

    def _serves(self) -> bool:
        child = self.child
        if self.state == "ready" and child is not None and child.exit_status is not None:
            self._died(child)  # the caller is faster than the task that waits for the exit
        return self.state == "ready"

    def _overdue(self, call: Call, overdue: Overdue) -> None:
        call.end(self._timeout(overdue.layer, overdue.limit, overdue.elapsed))
        if overdue.layer.startswith("L4"):
            self._escalate(overdue.layer, overdue.limit, overdue.elapsed, "a call overran")

    async def _see_it_given_back(self) -> None:
        """Stop a process that goes on with the work of calls that have ended."""
        child, began = self.child, self._portal.clock.now()
        limit = self.limits.release
        while child is not None and child is self.child and self.state == "ready":
            busy: int | None = None
            with anyio.move_on_after(limit):
                busy = await self._program.busy_calls(child)
            if busy is not None and busy <= len(self._calls):
                return
            elapsed = self._portal.clock.now() - began
            if elapsed > limit and child is self.child:
                seen = "nothing: it does not answer" if busy is None else f"{busy} calls"
                detail = f"an ended call's work was not given back; it works on {seen}"
                self._escalate("L1 release", limit, elapsed, detail)
                return
            await anyio.sleep(_RELEASE_LOOK)

    # -- life

    def _begin(self) -> None:
        delay = self._restart_policy.delay(self._crashes, self._now) if self._crashes else 0.0
        self._start = start = _Start()
        if delay is None:
            self._start = None
            raise self._too_many_crashes("")
        self._wanted = True
        self._stopped.clear()
        self.state = "starting"
        self._began_at = self._now
        self._portal.spawn_task(lambda: self._run(start, delay), self._program.name)

    async def _run(self, start: _Start, delay: float) -> None:
        """Live, and live again after a crash, until stopped or given up."""
        self._start = start
        try:
            while self._wanted:
                await anyio.sleep(delay)
                if not await self._live():
                    return
                delay = self._schedule_restart()
        except SafeLlmError as error:
            self._finish_start(error)
        except Exception as error:
            self._finish_start(StartupFailed(program=self._program.name, hint=repr(error)))
            raise
        finally:
            self._settle()

    async def _live(self) -> bool:
        """One incarnation; return whether it ever became ready."""
        command = await self._program.prepare()
        try:
            child = hub().request_spawn(
                command,
                name=self._program.name,
                limits=self.limits.with_changes(job=None),  # L4 is a call's, not the engine's
                stop_policy=self._stop_policy,
                observers=self._observers,
            )
            self.child = child
            await child.wait_spawned_async()
            if not self._wanted:  # stopped while it was being spawned
                child.begin_stop()
            await Life(child, self._program, self, self._portal).run()
            self._died(child)
            await child.closed.wait_async(self._stop_policy.longest)
            return self.state == "restarting"
        finally:
            self._program.clean_up()

    def _died(self, child: Child) -> None:
        """Tell the calls, once, and decide what their successors wait for."""
        if self._dead is child:
            return
        self._dead = child
        died = self._death(child)
        for call in tuple(self._calls):
            if call.times.ready is not None:
                call.end(died)
        if not self._wanted:
            return
        self._crashes.append(self._now)
        if self.state == "ready":
            self.state = "restarting"
            self._start = _Start()
        else:
            self._finish_start(self._died_young(died))

    def _died_young(self, died: EngineDied) -> NotReady:
        return NotReady(
            program=self._program.name,
            reason="it ended",
            waited=self._now - self._began_at,
            exit_status=died.exit_status,
            last_words=died.last_words,
        )

    def _schedule_restart(self) -> float:
        if not self._wanted:
            return 0.0
        delay = self._restart_policy.delay(self._crashes, self._now)
        if delay is None:
            status = self.child.exit_status if self.child is not None else None
            raise self._too_many_crashes(status.describe() if status else "")
        self.restarts += 1
        self._began_at = self._now + delay
        self._emit(RestartScheduled(source=self._program.name, attempt=self.restarts, delay=delay))
        return delay

    def _settle(self) -> None:
        failed = self._start is not None and self._start.error is not None
        self._finish_start(MisuseError(reason=f"{self._program.name} was stopped"))
        self._start = None
        self.state = "failed" if failed else "idle"
        self._wanted = False
        self._stopped.set()

    def _finish_start(self, error: SafeLlmError | None) -> None:
        if self._start is not None and not self._start.done.is_set:
            self._start.finish(error)

    # -- the ladder: everything that ends a process that is not wanted any more goes through here

    def _escalate(self, layer: str, limit: float, elapsed: float, detail: str) -> None:
        child = self.child
        if child is None or child.exit_status is not None:
            return
        self._emit(
            LayerTripped(
                source=self._program.name,
                pid=child.pid,
                layer=layer,
                detail=detail,
                action="stop",
            )
        )
        for call in tuple(self._calls):
            call.end(self._timeout(layer, limit, elapsed))
        child.begin_stop(reason=f"{layer}: {detail}")

    async def stop(self, reason: str = "close()") -> None:
        """End the calls, stop the process by its policy, and wait until nothing is left."""
        if not self._wanted:
            return
        self._wanted = False
        self.state = "stopping"
        for call in tuple(self._calls):
            call.end(
                EngineDied(
                    engine=self._program.name, exit_status="it was being stopped", reason=reason
                )
            )
        if self.child is not None:
            self.child.begin_stop(reason=reason)
        await self._stopped.wait_async(self._stop_policy.longest + self._stop_policy.longest)

    # -- what a Life asks and tells (`life.Keeper`)

    @property
    def is_ready(self) -> bool:
        """Whether calls are being served."""
        return self.state == "ready"

    @property
    def tokens(self) -> int:
        """How often the engine was heard of in all calls so far."""
        return self._tokens_of_ended_calls + sum(call.tokens for call in self._calls)

    @property
    def waiting_since(self) -> float | None:
        """When the oldest call in flight began to wait for the engine."""
        return min(
            (call.times.ready for call in self._calls if call.times.ready is not None),
            default=None,
        )

    def became_ready(self) -> None:
        """Let the calls that wait begin."""
        if not self._wanted:
            return
        self.state = "ready"
        self._ready_at = self._used_at = self._now
        start, self._start = self._start, None
        if start is not None:
            start.finish()
        self._emit(
            ProcessReady(
                source=self._program.name,
                pid=self.child.pid if self.child else None,
                after=self._now - self._began_at,
            )
        )

    def will_not_be_ready(self, error: NotReady) -> None:
        """Fail the calls that wait, and stop it."""
        self._finish_start(error)
        if self.child is not None:
            self.child.begin_stop(reason=error.reason)

    def suspect(self, suspicion: Suspicion) -> None:
        """Go up the ladder."""
        self._escalate(suspicion.layer, suspicion.limit, suspicion.elapsed, suspicion.detail)

    async def leave_when_idle(self) -> None:
        """Stop when no call was in flight for ``idle_timeout`` seconds."""
        if self._idle_timeout is None:
            return
        while True:
            left = self._idle_timeout - (self._now - self._used_at)
            if self.state == "ready" and not self._calls and left <= 0:
                self._portal.spawn_task(lambda: self.stop("idle"), f"{self._program.name}: idle")
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
            pid=child.pid if child and running else None,
            uptime=self._now - self._ready_at if self.state == "ready" else 0.0,
            restarts=self.restarts,
            calls_in_flight=len(self._calls),
            stdout_bytes=out.received_bytes if out else 0,
            stderr_bytes=err.received_bytes if err else 0,
            dropped_bytes=(out.dropped_bytes if out else 0) + (err.dropped_bytes if err else 0),
            last_lines=tuple(child.last_words().splitlines()[-5:]) if child else (),
        )

    @property
    def _now(self) -> float:
        return self._portal.clock.now()

    def _emit(self, event: Event) -> None:
        dispatcher().post(event, self._observers)

    def _death(self, child: Child) -> EngineDied:
        status = child.exit_status
        return EngineDied(
            engine=self._program.name,
            exit_status=status.describe() if status else "it is gone",
            reason=child.stop_reason,
            last_words=child.last_words(),
        )

    def _timeout(self, layer: str, limit: float, elapsed: float) -> CallTimeout:
        child = self.child
        seen = snapshot(child.pid) if child is not None and child.exit_status is None else None
        return CallTimeout(
            engine=self._program.name,
            layer=layer,
            limit=limit,
            elapsed=elapsed,
            diagnosis=seen.describe() if seen else "",
            last_words=child.last_words() if child else "",
        )

    def _too_many_crashes(self, exit_status: str) -> RestartLimitReached:
        policy = self._restart_policy
        return RestartLimitReached(
            program=self._program.name,
            restarts=policy.max_restarts,
            window=policy.window,
            exit_status=exit_status,
            last_words=self.child.last_words() if self.child else "",
            hint=f"it is tried again when {policy.window:.0f} s have passed since the first crash",
        )
