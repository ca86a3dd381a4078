"""How a caller waits: one ``Signal``, for plain threads, asyncio and Trio alike.

The only file that names asyncio and Trio, and it names nothing else: it does not know what is
waited for. It lies this low because the lowest layer already has callers who wait.

A ``Signal`` takes no lock. ``threading.Event`` would do for threads, but its lock can be held by
the very thread that a finalizer, run by the garbage collector, interrupts in order to call
``set()``: that thread would then wait for itself. Single dictionary operations need no lock.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_service_threads: set[int] = set()
_LONGEST_WAIT = threading.TIMEOUT_MAX  # a larger number is an OverflowError of lock.acquire


def serve_from_this_thread() -> None:
    """Declare that this thread serves everybody, so that waiting on it is refused, not hung."""
    _service_threads.add(threading.get_ident())


def retire_this_thread() -> None:
    """Take the declaration back; the system gives the identifier to another thread later."""
    _service_threads.discard(threading.get_ident())


def forget_service_threads() -> None:
    """Forget all declarations, in a forked child: the threads were not copied."""
    _service_threads.clear()


def refuse_on_service_thread() -> None:
    """Raise ``MisuseError`` where a blocking call would wait for its own thread."""
    if threading.get_ident() in _service_threads:
        raise MisuseError(
            reason=f"a blocking call on the service thread {threading.current_thread().name!r}"
            " would wait for itself",
            hint="call it from a thread or an event loop of your own",
        )


class Signal:
    """A flag that any thread may set and any thread, asyncio or Trio task may wait for.

    ``set()`` never blocks and never raises, whoever calls it and whatever became of those who
    wait. Every waiter is woken once; ``clear()`` arms the signal again.
    """

    __slots__ = ("_is_set", "_wakers")

    def __init__(self) -> None:
        self._is_set = False
        self._wakers: dict[object, Callable[[], None]] = {}

    @property
    def is_set(self) -> bool:
        """Whether it has been set since it was last cleared."""
        return self._is_set

    def set(self) -> None:
        """Set the flag and wake everybody who waits."""
        self._is_set = True
        while self._wakers:
            try:
                _, wake = self._wakers.popitem()
            except KeyError:  # another thread woke the last one between the two lines
                return
            wake()

    def clear(self) -> None:
        """Arm the signal again. Look at the condition *after* this, and then wait."""
        self._is_set = False

    def wait(self, timeout: float) -> bool:
        """Block this thread for at most ``timeout`` seconds; return whether it was set.

        Raises ``MisuseError`` on the hub and on the portal.
        """
        refuse_on_service_thread()
        latch = threading.Lock()
        latch.acquire()
        with self._enlisted(latch.release):
            return latch.acquire(timeout=min(max(timeout, 0.0), _LONGEST_WAIT))

    def wait_until(self, holds: Callable[[], bool], timeout: float) -> bool:
        """Wait until ``holds()``, looking each time the signal is set; return whether it does.

        Several may wait so on one signal: each clears it *before* it looks, so no change is missed.
        """
        until = monotonic() + timeout
        while True:
            self.clear()
            if holds():
                return True
            if not self.wait(until - monotonic()):
                return holds()

    async def wait_until_async(
        self,
        holds: Callable[[], bool],
        timeout: float | None = None,
    ) -> bool:
        """As ``wait_until``, for a task."""
        until = None if timeout is None else monotonic() + timeout
        while True:
            self.clear()
            if holds():
                return True
            left = None if until is None else max(until - monotonic(), 0.0)
            if not await self.wait_async(left):
                return holds()

    async def wait_async(self, timeout: float | None = None) -> bool:
        """Suspend this task for at most ``timeout`` seconds; return whether it was set."""
        if self._is_set:
            return True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return await self._wait_trio(timeout)
        return await self._wait_asyncio(loop, timeout)

    async def _wait_asyncio(self, loop: asyncio.AbstractEventLoop, timeout: float | None) -> bool:
        woken: asyncio.Future[bool] = loop.create_future()

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(_resolve, woken, True)
            except RuntimeError:  # the loop was closed: nobody is left to be woken
                return

        timer = None if timeout is None else loop.call_later(timeout, _resolve, woken, False)
        try:
            with self._enlisted(wake):
                return await woken
        finally:
            if timer is not None:
                timer.cancel()

    async def _wait_trio(self, timeout: float | None) -> bool:
        trio: Any = sys.modules["trio"]  # a Trio task can only run where trio was imported
        token = trio.lowlevel.current_trio_token()
        woken = trio.Event()

        def wake() -> None:
            try:
                token.run_sync_soon(woken.set)
            except trio.RunFinishedError:  # as above
                return

        with (
            self._enlisted(wake),
            trio.move_on_after(float("inf") if timeout is None else timeout),
        ):
            await woken.wait()
            return True
        return False

    @contextmanager
    def _enlisted(self, wake: Callable[[], None]) -> Iterator[None]:
        key = object()
        self._wakers[key] = wake
        try:
            if self._is_set:  # set between the caller's look and our enlisting
                self.set()
            yield
        finally:
            self._wakers.pop(key, None)


def _resolve(future: asyncio.Future[bool], outcome: bool) -> None:  # noqa: FBT001
    if not future.done():
        future.set_result(outcome)
