"""One incarnation of a supervised process: three tasks on its streams and exit, and its watch.

The pipes are emptied by the hub whether these tasks run, lag, raise or are cancelled; what they
do is to understand what came out of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.lowlevel

from safe_llm.diagnose.procfs import session_cpu_seconds
from safe_llm.errors import StartupFailed
from safe_llm.events import LineWritten
from safe_llm.observers.dispatcher import dispatcher
from safe_llm.protocol.lines import LineSplitter, sanitise
from safe_llm.supervise.readiness import wait_ready
from safe_llm.supervise.watchdog import Evidence, Suspicion, Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from safe_llm.limits import Limits
    from safe_llm.process.child import Child
    from safe_llm.process.output import Output
    from safe_llm.protocol.lines import Line
    from safe_llm.supervise.in_flight import CallsInFlight
    from safe_llm.supervise.portal import Portal
    from safe_llm.supervise.program import Program

_SHORTEST_LOOK, _LONGEST_LOOK = 0.05, 5.0  # seconds between two looks at a process
_LOOKS_A_LIMIT = 4  # so that a limit is noticed at most a quarter late
_LAST_LINES = 1.0  # seconds to tell what was kept: in a flood of empty lines these are millions
_PORTION = 4 * 1024  # bytes: 4,096 lines at most, some 50 ms, before others get their turn


class Keeper(Protocol):
    """Whom an incarnation tells what becomes of it, and asks what is going on."""

    limits: Limits
    calls: CallsInFlight

    def became_ready(self) -> None:
        """It answers."""

    def will_not_be_ready(self, error: StartupFailed) -> None:
        """It will never answer; stop it."""

    def stays_silent(self) -> None:
        """It did not answer within ``limits.start``; stop it."""

    def has_exited(self) -> None:
        """It is gone."""

    def suspect(self, suspicion: Suspicion) -> None:
        """The watchdog has caught something."""

    async def leave_when_idle(self) -> None:
        """Return when nobody has used it for too long; never, where that is not asked for."""

    @property
    def is_ready(self) -> bool:
        """Whether it became ready."""


class Life:
    """The tasks around one child, from its spawn to its exit."""

    def __init__(self, child: Child, program: Program, keeper: Keeper, portal: Portal) -> None:
        self._child = child
        self._program = program
        self._keeper = keeper
        self._portal = portal

    async def run(self) -> None:
        """Run until the child has exited and its streams have been taken, or the most of them."""
        async with anyio.create_task_group() as streams:
            streams.start_soon(self._take, self._child.stdout)
            streams.start_soon(self._take, self._child.stderr)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._become_ready)
                tasks.start_soon(self._watch_over)
                tasks.start_soon(self._keeper.leave_when_idle)
                await self._child.exited.wait_async()
                tasks.cancel_scope.cancel()
            self._keeper.has_exited()  # calls wait for it; its last lines may take a moment more
            grace = self._child.stop_policy.pipe_grace + _LAST_LINES
            streams.cancel_scope.deadline = anyio.current_time() + grace

    async def _take(self, output: Output) -> None:
        """Turn what comes into line events; without observers it is only taken away."""
        splitter = LineSplitter(self._keeper.limits.max_line_bytes)
        while not output.exhausted:
            output.changed.clear()
            data = output.take_nowait()
            if data:
                await self._split(splitter, output, data)
            elif not output.ended:
                await output.changed.wait_async()
        self._tell(output, splitter.finish())

    async def _split(self, splitter: LineSplitter, output: Output, data: bytes) -> None:
        if not self._child.observers:
            return
        for start in range(0, len(data), _PORTION):
            self._tell(output, splitter.feed(data[start : start + _PORTION]))
            await anyio.lowlevel.checkpoint()  # others have deadlines

    def _tell(self, output: Output, lines: Iterable[Line]) -> None:
        for line in lines:
            text = sanitise(line.data)
            event = LineWritten(
                source=self._child.name,
                pid=self._child.pid,
                stream=output.name,
                text=text,
                level=self._program.level_of(text),
            )
            dispatcher().post(event, self._child.observers)

    async def _become_ready(self) -> None:
        try:
            with self._portal.within(self._keeper.limits.start) as scope:
                await wait_ready(self._program, self._child)
        except StartupFailed as error:
            self._keeper.will_not_be_ready(error)
            return
        if scope.cancelled_caught:
            self._keeper.stays_silent()
        else:
            self._keeper.became_ready()

    async def _watch_over(self) -> None:
        interval = self._keeper.limits.alive_interval
        watchdog = Watchdog(self._keeper.limits, self._portal.clock.now())
        next_probe = self._portal.clock.now() + (interval or 0.0)
        while True:
            await anyio.sleep(_pause_between_looks(interval, self._patience()))
            evidence = self._evidence()
            suspicion = watchdog.observe(evidence)
            if interval is not None and evidence.at >= next_probe:
                next_probe = evidence.at + interval
                suspicion = suspicion or await self._probe(watchdog)
            if suspicion is not None:
                self._keeper.suspect(suspicion)
                return

    async def _probe(self, watchdog: Watchdog) -> Suspicion | None:
        if not self._keeper.is_ready:
            return None
        answered = False
        with self._portal.within(self._keeper.limits.alive_timeout):
            answered = await self._program.is_alive(self._child)
        return watchdog.probed(answered=answered, evidence=self._evidence())

    def _patience(self) -> float | None:
        return self._keeper.calls.patience(otherwise=self._keeper.limits.patience)

    def _evidence(self) -> Evidence:
        child = self._child
        return Evidence(
            at=self._portal.clock.now(),
            activity=child.stdout.received_bytes
            + child.stderr.received_bytes
            + self._keeper.calls.tokens,
            cpu_seconds=session_cpu_seconds(child.pid),
            waiting_since=self._keeper.calls.waiting_since,
            patience=self._patience(),
        )


def _pause_between_looks(*limits: float | None) -> float:
    shortest = min(
        (limit for limit in limits if limit is not None), default=_LONGEST_LOOK * _LOOKS_A_LIMIT
    )
    return min(max(shortest / _LOOKS_A_LIMIT, _SHORTEST_LOOK), _LONGEST_LOOK)
