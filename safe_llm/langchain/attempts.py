"""A stream that is begun again when its engine dies before it has said anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar

from safe_llm.errors import CallTimeout, SafeLlmError
from safe_llm.langchain.model_errors import as_model_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from safe_llm.engines.base import PieceStream

T = TypeVar("T")


class Attempts(Generic[T]):
    """Pieces of an answer, as ``PieceStream``. What has been heard is never said twice.

    A limit that was reached is not tried again: the deadline is the user's.
    """

    def __init__(self, begin: Callable[[], PieceStream[T]], retries: int) -> None:
        self._begin = begin
        self._left = retries
        self._stream = begin()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        while True:
            try:
                return self._heard(next(self._stream))
            except SafeLlmError as error:
                self._again_or_raise(error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            try:
                return self._heard(await anext(self._stream))
            except SafeLlmError as error:
                self._again_or_raise(error)

    def _heard(self, piece: T) -> T:
        self._left = 0
        return piece

    def _again_or_raise(self, error: SafeLlmError) -> None:
        is_retryable = getattr(as_model_error(error), "is_retryable", False)
        if self._left <= 0 or not is_retryable or isinstance(error, CallTimeout):
            raise error
        self._left -= 1
        self._stream.close()
        self._stream = self._begin()

    def close(self) -> None:
        """Cancel what is still being generated."""
        self._stream.close()

    async def aclose(self) -> None:
        """As ``close()``, for a task."""
        await self._stream.aclose()
