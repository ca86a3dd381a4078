"""One piece of work on the portal as its caller holds it: a result, or a stream of items.

Whoever stops waiting, for whatever reason, cancels the work. Nothing here runs the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar

from safe_llm.errors import CallTimeout
from safe_llm.process.waking import Signal, refuse_on_service_thread

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from safe_llm.process.clock import RunClock

T = TypeVar("T")

_SLICE = 1.0  # how often a blocked caller looks whether the portal still turns
_STARVED = 15.0  # seconds without a heartbeat after which the portal's deadlines are not believed


class Job(Generic[T]):
    """Work that was handed to the portal, which keeps its deadlines."""

    def __init__(self, name: str, clock: RunClock, cancel: Callable[[Job[T]], None]) -> None:
        self.name = name
        self.done = Signal()
        self.changed = Signal()
        self._clock = clock
        self._cancel = cancel
        self._value: T | None = None
        self._error: BaseException | None = None

    # -- on the portal

    def succeed(self, value: T) -> None:
        """Give the result to whoever waits."""
        self._value = value
        self._finish()

    def fail(self, error: BaseException) -> None:
        """Give the error to whoever waits."""
        self._error = error
        self._finish()

    def _finish(self) -> None:
        self.done.set()
        self.changed.set()

    # -- in the caller

    def cancel(self) -> None:
        """Have the work cancelled. Never blocks; a finalizer may call it."""
        if not self.done.is_set:
            self._cancel(self)

    def result(self) -> T:
        """Block until the work is done; leaving early, by Ctrl-C too, cancels it."""
        self.wait_for(lambda: self.done.is_set)
        return self.outcome()

    async def result_async(self) -> T:
        """Suspend until the work is done; being cancelled cancels it."""
        await self.wait_for_async(lambda: self.done.is_set)
        return self.outcome()

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Block until ``holds()``, which may change with ``changed``.

        Not bounded by a time of its own but by the portal's deadlines, as long as the portal
        turns: ``CallTimeout`` when it got no processor for 15 s in which this thread did.
        """
        starved = 0.0
        try:
            refuse_on_service_thread()
            while not self.changed.wait_until(holds, _SLICE):
                starved = self._starved_for(starved)
        except BaseException:
            self.cancel()
            raise

    async def wait_for_async(self, holds: Callable[[], bool]) -> None:
        """As ``wait_for``, for a task."""
        starved = 0.0
        try:
            while not await self.changed.wait_until_async(holds, _SLICE):
                starved = self._starved_for(starved)
        except BaseException:
            self.cancel()
            raise

    def outcome(self) -> T:
        """Return what the work returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # None is a value where T admits it

    def _starved_for(self, before: float) -> float:
        """Seconds in which we ran and the portal did not; too many of them are an error."""
        starved = before + _SLICE if self._clock.age > _SLICE else 0.0
        if starved > _STARVED:
            raise CallTimeout(
                engine=self.name,
                layer="portal heartbeat",
                limit=_STARVED,
                elapsed=starved,
                hint="something holds the interpreter lock, or this machine is out of processors",
            )
        return starved


class Stream(Generic[T]):
    """Items that the portal produces, read by ``for`` or by ``async for``.

    The producer never waits for the reader, so that a slow reader cannot trip a deadline of the
    engine's. Closing it, or dropping it, cancels the work: whoever produces the items refers to
    ``items``, never to the stream, or it could not be dropped.
    """

    def __init__(self, job: Job[None], items: deque[T]) -> None:
        self._job = job
        self._items = items

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        self._job.wait_for(self._has_news)
        if self._items:
            return self._items.popleft()
        self._job.outcome()
        raise StopIteration

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await self._job.wait_for_async(self._has_news)
        if self._items:
            return self._items.popleft()
        self._job.outcome()
        raise StopAsyncIteration

    def close(self) -> None:
        """Cancel the work if it still runs. Never blocks."""
        self._job.cancel()

    async def aclose(self) -> None:
        """As ``close``, for ``async with aclosing(…)``."""
        self.close()

    def __del__(self) -> None:
        self.close()

    def _has_news(self) -> bool:
        # `done` first: what was put in before the end must be seen after it.
        return self._job.done.is_set or bool(self._items)
