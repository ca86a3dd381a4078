"""An engine's stream as what LlamaIndex takes for a generator. Translates nothing itself."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from safe_llm.engines.base import PieceStream

Piece = TypeVar("Piece")
Response = TypeVar("Response")


class Reading(
    Generator[Response, None, None], AsyncGenerator[Response, None], Generic[Piece, Response]
):
    """One answer being read, by ``for`` or by ``async for``; leaving it cancels the work.

    LlamaIndex's callbacks ask whether they are given a generator. A real one, when it is left in
    the middle, waits for the garbage collector, and an asynchronous one for its event loop as well.
    """

    def __init__(
        self,
        translate: Callable[[Piece], Response],
        stream: PieceStream[Piece],
        opening: Iterable[Response] = (),
    ) -> None:
        self._translate = translate
        self._stream = stream
        self._opening = deque(opening)

    def send(self, value: None = None, /) -> Response:
        """Return the next response."""
        del value
        return self._opening.popleft() if self._opening else self._translate(next(self._stream))

    def throw(self, *error: Any) -> Response:
        """Cancel what is still being generated, and raise."""
        self.close()
        raise error[-1] if isinstance(error[-1], BaseException) else error[0]

    def close(self) -> None:
        """Cancel what is still being generated. Waits for nothing, in a task as well."""
        self._stream.close()

    async def asend(self, value: None = None, /) -> Response:
        """As ``send()``, for a task."""
        del value
        if self._opening:
            return self._opening.popleft()
        return self._translate(await anext(self._stream))

    async def athrow(self, *error: Any) -> Response:
        """As ``throw()``, for a task."""
        return self.throw(*error)

    async def aclose(self) -> None:
        """As ``close()``, for a task."""
        await self._stream.aclose()
