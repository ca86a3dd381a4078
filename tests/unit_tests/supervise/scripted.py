"""A program whose answers a test decides, around a real child that does nothing. Serves nobody."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import anyio

from safe_llm.limits import NO_LIMITS, Limits, StopPolicy, StopStep
from safe_llm.process.command import Command
from safe_llm.supervise.portal import portal
from safe_llm.supervise.program import Busy
from safe_llm.supervise.restart import RestartPolicy
from safe_llm.supervise.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from safe_llm.errors import SafeLlmError
    from safe_llm.events import Observer
    from safe_llm.process.child import Child

T = TypeVar("T")

BOUND = 10.0  # seconds; each of these tests takes a fraction of one
IDLES = ("cat",)  # until its stdin is closed
SPINS = ("sh", "-c", "while :; do :; done")
CRASHES = ("sh", "-c", "echo these are my last words >&2; exit 3")
AT_ONCE = StopPolicy(steps=(StopStep("close_stdin", 0.2), StopStep(9, 5.0)), pipe_grace=0.1)


@dataclass
class Scripted:
    """A ``supervise.program.Program``; ``commands`` are used up one a start, the last one stays."""

    commands: list[Sequence[str]] = field(default_factory=lambda: [IDLES])
    ready: bool = True
    alive: bool = True
    works_on: Busy | None = field(default_factory=lambda: Busy(0))
    refusal: SafeLlmError | None = None
    gate: anyio.Event | None = None
    loading: Callable[[], float | None] = lambda: None
    prepared: int = 0
    cleaned: int = 0
    asked_busy: int = 0
    name: str = "scripted"

    async def prepare(self) -> Command:
        self.prepared += 1
        if self.refusal is not None:
            raise self.refusal
        if self.gate is not None:
            await self.gate.wait()
        return Command(self.commands.pop(0) if len(self.commands) > 1 else self.commands[0])

    async def clean_up(self) -> None:
        self.cleaned += 1

    async def is_ready(self, child: Child) -> bool:
        return self.ready

    def loaded(self, child: Child) -> float | None:
        return self.loading()

    async def is_alive(self, child: Child) -> bool:
        if not self.alive:
            await anyio.sleep_forever()
        return True

    async def busy(self, child: Child) -> Busy | None:
        self.asked_busy += 1
        return self.works_on

    def level_of(self, line: str) -> int:
        return logging.INFO


@asynccontextmanager
async def supervised(
    program: Scripted,
    *,
    limits: Limits = NO_LIMITS,
    restart: RestartPolicy | None = None,
    idle_timeout: float | None = None,
    observers: tuple[Observer, ...] = (),
) -> AsyncIterator[Supervisor]:
    """A supervisor that is stopped in the end; every start must have been cleaned up after."""
    supervisor = Supervisor(
        program,
        portal(),
        limits=limits,
        stop_policy=AT_ONCE,
        restart_policy=restart or RestartPolicy(backoff=0.0),
        idle_timeout=idle_timeout,
        observers=observers,
    )
    try:
        with anyio.fail_after(BOUND):
            yield supervisor
    finally:
        with anyio.fail_after(BOUND):
            await supervisor.stop("the test is over")
        assert program.cleaned == program.prepared
        assert supervisor.child is None or supervisor.child.closed.is_set


def on_the_portal(work: Callable[[], Awaitable[T]]) -> T:
    """Run a test's coroutine where supervisors live."""
    return portal().submit(work, "test").result()


async def until(holds: Callable[[], bool]) -> None:
    """Suspend until something becomes true, for as long as the test is allowed to last."""
    while not holds():  # noqa: ASYNC110  what is waited for sets no event
        await anyio.sleep(0.005)
