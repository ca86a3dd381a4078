"""The portal: one thread with one event loop that does the waiting for everybody.

Runs no code of users. Work is handed to it from any thread or loop; its deadlines hold when the
caller's own loop is blocked, because they are kept here.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel

from safe_llm.errors import MisuseError
from safe_llm.process.clock import RunClock
from safe_llm.process.waking import (
    Signal,
    retire_this_thread,
    serve_from_this_thread,
)
from safe_llm.supervise.job import Job, Stream
from safe_llm.supervise.silence import silence_here

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from anyio.abc import TaskGroup

T = TypeVar("T")

HEARTBEAT = 0.1  # seconds: how late a deadline may be noticed, at most twice
_KEPT_ERRORS = 32


class Portal:
    """An anyio event loop on a daemon thread, started at first use."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.clock = RunClock(HEARTBEAT)
        self.errors: deque[str] = deque(maxlen=_KEPT_ERRORS)
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._posted = Signal()
        self._scopes: dict[Job[Any], anyio.CancelScope] = {}
        self._tickers: dict[object, Callable[[float], None]] = {}
        self._busy = Signal()
        self._tasks: TaskGroup | None = None
        threading.Thread(target=self._run, name="safe-llm-portal", daemon=True).start()

    # -- from any thread

    def post(self, command: Callable[[], None]) -> None:
        """Have ``command`` run on the portal soon. Never blocks; a finalizer may call it."""
        if self.owner == os.getpid():  # a fork inherits the objects, and the parent's loop
            self._commands.put(command)
            self._posted.set()

    def submit(self, work: Callable[[], Awaitable[T]], name: str) -> Job[T]:
        """Have ``work`` done on the portal; the job is how to wait for it, and to cancel it."""
        job: Job[T] = Job(name, self.clock, self._cancel)
        self.post(partial(self._begin, job, work))
        return job

    def stream(
        self, work: Callable[[Callable[[T], None]], Awaitable[None]], name: str
    ) -> Stream[T]:
        """Have ``work`` done on the portal, each item that it emits going into the stream."""
        job: Job[None] = Job(name, self.clock, self._cancel)
        items: deque[T] = deque()

        def emit(item: T) -> None:
            items.append(item)
            job.changed.set()

        self.post(partial(self._begin, job, partial(work, emit)))
        return Stream(job, items)

    # -- on the portal

    def spawn_task(self, work: Callable[[], Awaitable[object]], name: str) -> None:
        """Run a service of ours for as long as it likes; what it raises is kept and reported."""
        self._start(self._serve, work, name)

    @contextmanager
    def ticking(self, tick: Callable[[float], None]) -> Iterator[None]:
        """Call ``tick`` with the clock's time at each heartbeat inside the block."""
        key = object()
        self._tickers[key] = tick
        self._busy.set()
        try:
            yield
        finally:
            self._tickers.pop(key, None)

    @contextmanager
    def within(self, limit: float | None) -> Iterator[anyio.CancelScope]:
        """Cancel the block when this process has run for ``limit`` seconds; the scope tells.

        As with calls, what is overdue ends at the next look: what has arrived comes first.
        """
        scope, began, suspected = anyio.CancelScope(), self.clock.now(), False

        def tick(now: float) -> None:
            nonlocal suspected
            overdue = limit is not None and now - began > limit
            if overdue and suspected:
                scope.cancel()
            suspected = overdue

        with self.ticking(tick), scope:
            yield scope

    def _start(self, function: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
        if self._tasks is None:
            raise AssertionError(function)
        self._tasks.start_soon(function, *args)

    def _run(self) -> None:
        serve_from_this_thread()
        silence_here("asyncio")
        try:
            anyio.run(self._main)
        finally:
            retire_this_thread()

    async def _main(self) -> None:
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._beat)
            while True:
                await self._posted.wait_async()
                self._posted.clear()
                self._run_commands()

    def _run_commands(self) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except Empty:
                return
            self._guarded(command)

    async def _beat(self) -> None:
        """Tick the clock while anybody measures by it, then look at every deadline."""
        while True:
            self._busy.clear()
            if not (self._tickers or self._scopes):
                await self._busy.wait_async()
                self.clock.resume()
            await anyio.sleep(HEARTBEAT)
            self.clock.tick()
            now = self.clock.now()
            for tick in list(self._tickers.values()):
                self._guarded(partial(tick, now))

    def _begin(self, job: Job[T], work: Callable[[], Awaitable[T]]) -> None:
        # Known before the task runs, so that a cancellation posted right behind finds it.
        self._scopes[job] = anyio.CancelScope()
        self._busy.set()
        self._start(self._perform, job, work)

    async def _perform(self, job: Job[T], work: Callable[[], Awaitable[T]]) -> None:
        with self._scopes[job] as scope:
            try:
                job.succeed(await work())
            except Exception as error:
                job.fail(error)
            finally:
                del self._scopes[job]
        if scope.cancelled_caught:
            job.fail(MisuseError(reason=f"{job.name}: the call was cancelled by its caller"))

    async def _serve(self, work: Callable[[], Awaitable[object]], name: str) -> None:
        try:
            await work()
        except Exception as error:
            self.errors.append(f"{name}: {error!r}")

    def _cancel(self, job: Job[Any]) -> None:
        self.post(partial(self._cancel_now, job))

    def _cancel_now(self, job: Job[Any]) -> None:
        scope = self._scopes.get(job)
        if scope is not None:
            scope.cancel()

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            self.errors.append(repr(error))


_portal: Portal | None = None
_making = threading.RLock()


def portal() -> Portal:
    """Return the portal of this process; a forked child gets one of its own."""
    global _portal  # noqa: PLW0603  one per process is its nature
    with _making:
        if _portal is None or _portal.owner != os.getpid():
            _portal = Portal()
        return _portal


def _forget_in_fork() -> None:
    global _portal, _making  # noqa: PLW0603  see above
    _portal = None
    _making = threading.RLock()


os.register_at_fork(after_in_child=_forget_in_fork)
