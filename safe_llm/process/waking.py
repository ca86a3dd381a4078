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
_SLICE = 0.5  # seconds: two wake-ups a second and waiter; what is late by more did not run


def serve_from_this_thread() -> None:
    """Declare that this thread serves everybody, so that waiting on it is refused, not hung."""
    _service_threads.add(threading.get_ident())


def retire_this_thread() -> None:
    """Take the declaration back; the system gives the identifier to another thread later."""
    _service_threads.discard(threading.get_ident())


def forget_service_threads() -> None:
    """Forget all declarations, in a forked child: the threads were not copied."""
    _service_threads.clear()


def is_service_thread() -> bool:
    """Whether this thread serves everybody."""
    return threading.get_ident() in _service_threads


def refuse_on_service_thread() -> None:
    """Raise ``MisuseError`` where a blocking call would wait for its own thread."""
    if is_service_thread():
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

    __slots__ = ("_is_set", "_sets", "_wakers")

    def __init__(self) -> None:
        self._is_set = False
        self._sets = 0
        self._wakers: dict[object, Callable[[], None]] = {}

    @property
    def is_set(self) -> bool:
        """Whether it has been set since it was last cleared."""
        return self._is_set

    def set(self) -> None:
        """Set the flag and wake everybody who waits."""
        self._is_set = True
        self._sets += 1
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
        return self.wait_until(self._next_set(), timeout)

    async def wait_async(self, timeout: float | None = None) -> bool:
        """Suspend this task for at most ``timeout`` seconds; return whether it was set."""
        return await self.wait_until_async(self._next_set(), timeout)

    def wait_until(self, holds: Callable[[], bool], timeout: float) -> bool:
        """Wait until ``holds()``, looking each time the signal is set; return whether it does.

        ``timeout`` counts seconds in which this process ran. Several may wait so on one signal,
        each for a condition of its own: each enlists *before* it looks, so no change is missed.
        """
        if holds():
            return True
        refuse_on_service_thread()
        patience = _Patience(timeout)
        while True:
            latch = threading.Lock()
            latch.acquire()
            with self._enlisted(latch.release):
                if holds():
                    return True
                if not patience.left:
                    return False
                latch.acquire(timeout=patience.begin_slice())
            patience.end_slice()

    async def wait_until_async(
        self,
        holds: Callable[[], bool],
        timeout: float | None = None,
    ) -> bool:
        """As ``wait_until``, for a task; others of its loop get their turn in any case."""
        suspend = self._suspend_asyncio if _is_asyncio() else self._suspend_trio
        patience = None if timeout is None else _Patience(timeout)
        await suspend(holds, 0.0)
        while not holds():
            if patience is None:
                await suspend(holds, None)
                continue
            if not patience.left:
                return False
            await suspend(holds, patience.begin_slice())
            patience.end_slice()
        return True

    def _next_set(self) -> Callable[[], bool]:
        seen = self._sets  # one who wakes late must not miss a set that was cleared already
        return lambda: self._is_set or self._sets != seen

    async def _suspend_asyncio(self, holds: Callable[[], bool], longest: float | None) -> None:
        """Suspend until the signal is set, for ``longest`` seconds, unless ``holds()`` already."""
        if longest == 0.0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(_resolve, woken)
            except RuntimeError:  # the loop was closed: nobody is left to be woken
                return

        timer = None if longest is None else loop.call_later(longest, _resolve, woken)
        try:
            with self._enlisted(wake):
                if not holds():
                    await woken
        finally:
            if timer is not None:
                timer.cancel()

    async def _suspend_trio(self, holds: Callable[[], bool], longest: float | None) -> None:
        trio: Any = sys.modules["trio"]  # a Trio task can only run where trio was imported
        if longest == 0.0:
            await trio.lowlevel.checkpoint()
            return
        token = trio.lowlevel.current_trio_token()
        woken = trio.Event()

        def wake() -> None:
            try:
                token.run_sync_soon(woken.set)
            except trio.RunFinishedError:  # as above
                return

        limit = float("inf") if longest is None else longest
        with self._enlisted(wake), trio.move_on_after(limit):
            if not holds():
                await woken.wait()

    def set_after_fork(self) -> None:
        """In a forked process: set it without waking anybody, since nobody was copied."""
        self._wakers.clear()
        self._is_set = True

    @contextmanager
    def _enlisted(self, wake: Callable[[], None]) -> Iterator[None]:
        key = object()
        self._wakers[key] = wake
        try:
            yield
        finally:
            self._wakers.pop(key, None)


class _Patience:
    """How long somebody waits on. Time in which this process did not run is not counted.

    It is cut into slices: one that took much longer than it should was not ours, and after it the
    hub gets a moment to deliver what arrived meanwhile.
    """

    __slots__ = ("_began", "_slice", "left")

    def __init__(self, timeout: float) -> None:
        self.left = max(timeout, 0.0)
        self._slice = self._began = 0.0

    def begin_slice(self) -> float:
        self._slice, self._began = min(self.left, _SLICE), monotonic()
        return self._slice

    def end_slice(self) -> None:
        passed = monotonic() - self._began
        if passed - self._slice <= _SLICE:
            self.left = max(self.left - passed, 0.0)
        else:
            self.left = max(self.left - self._slice, _SLICE)


def _is_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
