"""One incarnation of a supervised process: three tasks on its streams and exit, and its watch.

The pipes are emptied by the hub whether these tasks run, lag, raise or are cancelled; what they
do is to understand what came out of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio

from safe_llm.diagnose.procfs import session_cpu_seconds
from safe_llm.errors import NotReady
from safe_llm.events import LineWritten
from safe_llm.observers.dispatcher import dispatcher
from safe_llm.protocol.lines import LineSplitter, sanitise
from safe_llm.supervise.readiness import wait_ready
from safe_llm.supervise.watchdog import Evidence, Suspicion, Watchdog

if TYPE_CHECKING:
    from safe_llm.limits import Limits
    from safe_llm.process.child import Child
    from safe_llm.process.output import Output
    from safe_llm.supervise.portal import Portal
    from safe_llm.supervise.program import Program

_SHORTEST_LOOK, _LONGEST_LOOK = 0.05, 5.0  # seconds between two looks at a process
_LOOKS_A_LIMIT = 4  # so that a limit is noticed at most a quarter late


class Keeper(Protocol):
    """Whom an incarnation tells what becomes of it, and asks what is going on."""

    limits: Limits

    def became_ready(self) -> None:
        """It answers."""

    def will_not_be_ready(self, error: NotReady) -> None:
        """It will never answer; stop it."""

    def suspect(self, suspicion: Suspicion) -> None:
        """The watchdog has caught something."""

    async def leave_when_idle(self) -> None:
        """Return when nobody has used it for too long; never, where that is not asked for."""

    @property
    def is_ready(self) -> bool:
        """Whether it became ready."""

    @property
    def tokens(self) -> int:
        """How often the engine was heard of in all calls so far."""

    @property
    def waiting_since(self) -> float | None:
        """When the oldest call in flight began to wait for the engine."""


class Life:
    """The tasks around one child, from its spawn to its exit."""

    def __init__(self, child: Child, program: Program, keeper: Keeper, portal: Portal) -> None:
        self._child = child
        self._program = program
        self._keeper = keeper
        self._portal = portal

    async def run(self) -> None:
        """Run until the child has exited and its streams have been taken."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._take, self._child.stdout)
            tasks.start_soon(self._take, self._child.stderr)
            tasks.start_soon(self._become_ready)
            tasks.start_soon(self._watch_over)
            tasks.start_soon(self._keeper.leave_when_idle)
            await self._child.exited.wait_async()
            tasks.cancel_scope.cancel()

    async def _take(self, output: Output) -> None:
        """Turn what comes into line events; without observers it is only taken away."""
        splitter = LineSplitter(self._keeper.limits.max_line_bytes)
        while not output.exhausted:
            output.changed.clear()
            data = output.take_nowait()
            if not data:
                if not output.ended:
                    await output.changed.wait_async()
                continue
            if self._child.observers:
                for line in splitter.feed(data):
                    self._tell(output, line.data)

    def _tell(self, output: Output, line: bytes) -> None:
        text = sanitise(line)
        event = LineWritten(
            source=self._child.name,
            pid=self._child.pid,
            stream=output.name,
            text=text,
            level=self._program.level_of(text),
        )
        dispatcher().post(event, self._child.observers)

    async def _become_ready(self) -> None:
        began = self._portal.clock.now()
        limit = self._keeper.limits.start
        scope = anyio.CancelScope()

        def tick(now: float) -> None:
            if limit is not None and now - began > limit:
                scope.cancel()

        try:
            with self._portal.ticking(tick), scope:
                await wait_ready(self._program, self._child)
        except NotReady as error:
            self._keeper.will_not_be_ready(error)
            return
        if scope.cancelled_caught:
            waited = self._portal.clock.now() - began
            self._keeper.will_not_be_ready(
                NotReady(
                    program=self._child.name,
                    reason="it runs and does not answer",
                    waited=waited,
                    last_words=self._child.last_words(),
                    hint="raise Limits.start if it is only slow",
                )
            )
            return
        self._keeper.became_ready()

    async def _watch_over(self) -> None:
        limits = self._keeper.limits
        watchdog = Watchdog(limits, self._portal.clock.now())
        pause = _pause_between_looks(limits)
        next_probe = self._portal.clock.now() + (limits.alive_interval or 0.0)
        while True:
            await anyio.sleep(pause)
            evidence = self._evidence()
            suspicion = watchdog.observe(evidence)
            if limits.alive_interval is not None and evidence.at >= next_probe:
                next_probe = evidence.at + limits.alive_interval
                suspicion = suspicion or await self._probe(watchdog)
            if suspicion is not None:
                self._keeper.suspect(suspicion)
                return

    async def _probe(self, watchdog: Watchdog) -> Suspicion | None:
        if not self._keeper.is_ready:
            return None
        with anyio.move_on_after(self._keeper.limits.alive_timeout):
            if await self._program.is_alive(self._child):
                return watchdog.probed(answered=True, evidence=self._evidence())
        return watchdog.probed(answered=False, evidence=self._evidence())

    def _evidence(self) -> Evidence:
        child = self._child
        return Evidence(
            at=self._portal.clock.now(),
            activity=child.stdout.received_bytes
            + child.stderr.received_bytes
            + self._keeper.tokens,
            cpu_seconds=session_cpu_seconds(child.pid),
            waiting_since=self._keeper.waiting_since,
        )


def _pause_between_looks(limits: Limits) -> float:
    shortest = min(
        (limit for limit in (limits.alive_interval, limits.patience) if limit is not None),
        default=_LONGEST_LOOK * _LOOKS_A_LIMIT,
    )
    return min(max(shortest / _LOOKS_A_LIMIT, _SHORTEST_LOOK), _LONGEST_LOOK)
