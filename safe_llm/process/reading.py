"""A stream as lines, for ``for`` and for ``async for``. Runs in the consumer, never on the hub."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Self

from safe_llm.errors import CallTimeout
from safe_llm.protocol.lines import LineSplitter

if TYPE_CHECKING:
    from safe_llm.process.output import Output
    from safe_llm.protocol.lines import Line

_LONGEST_SILENCE = 7 * 24 * 3600.0  # a bound where the caller named none


class Lines:
    """The lines of one stream, decoded as UTF-8 with what is invalid replaced.

    Ends when the stream has ended. A line longer than the stream's ``max_line_bytes`` is cut, its
    number of lost bytes is added to ``truncated_bytes``, and reading goes on.
    Raises ``CallTimeout`` when no line comes for ``timeout`` seconds.
    """

    def __init__(self, output: Output, timeout: float | None) -> None:
        self.truncated_bytes = 0
        self._output = output
        self._timeout = _LONGEST_SILENCE if timeout is None else timeout
        self._splitter = LineSplitter(output.max_line_bytes)
        self._ready: deque[Line] = deque()
        self._finished = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if not (self._ready or self._output.changed.wait_until(self._advance, self._timeout)):
            raise self._silence()
        if self._ready:
            return self._pop()
        raise StopIteration

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if self._ready:
            return self._pop()
        # Suspends even when there is more to take: a flood must not keep the loop for itself.
        if not await self._output.changed.wait_until_async(self._advance, self._timeout):
            raise self._silence()
        if self._ready:
            return self._pop()
        raise StopAsyncIteration

    def _advance(self) -> bool:
        """Split what has come; True when there is a line, or will never be one again."""
        if self._ready or self._finished:
            return True
        ended = self._output.ended  # before taking: what came before the end must not be missed
        data = self._output.take_nowait()
        self._ready.extend(self._splitter.feed(data))
        if ended:
            self._ready.extend(self._splitter.finish())
            self._finished = True
        return bool(self._ready) or self._finished

    def _pop(self) -> str:
        line = self._ready.popleft()
        self.truncated_bytes += line.truncated_bytes
        return line.data.decode("utf-8", errors="replace")

    def _silence(self) -> CallTimeout:
        return CallTimeout(
            engine=self._output.owner,
            layer=f"L1 gap on {self._output.name}",
            limit=self._timeout,
            elapsed=self._timeout,
            hint="the process may be busy, or wait for its input; `child.statistics()` tells",
        )
