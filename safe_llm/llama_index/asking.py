"""One call, ready to be made whole, whole for a task, or piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from safe_llm.llama_index.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from safe_llm.engines.base import (
        ChatAnswer,
        ChatChunk,
        Completion,
        CompletionChunk,
        Engine,
        PieceStream,
    )
    from safe_llm.limits import Limits

Piece = TypeVar("Piece")
Whole = TypeVar("Whole")
Response = TypeVar("Response")
Piece_contra = TypeVar("Piece_contra", contravariant=True)
Whole_contra = TypeVar("Whole_contra", contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)


class Translation(Protocol[Piece_contra, Whole_contra, Response_co]):
    """What makes LlamaIndex's responses of what an engine says."""

    def opening(self) -> Iterable[Response_co]:
        """Return what comes before the first piece."""
        ...

    def take(self, chunk: Piece_contra, /) -> Response_co:
        """Return what there is with one piece more."""
        ...

    def whole(self, answer: Whole_contra, /) -> Response_co:
        """Return all of it."""
        ...


@dataclass(frozen=True)
class Ways(Generic[Piece, Whole]):
    """The three methods of an engine for one kind of work."""

    whole: Callable[[Mapping[str, Any], Limits], Whole]
    whole_async: Callable[[Mapping[str, Any], Limits], Awaitable[Whole]]
    stream: Callable[[Mapping[str, Any], Limits], PieceStream[Piece]]


def completing(engine: Engine) -> Ways[CompletionChunk, Completion]:
    """Return the ways to complete a prompt."""
    return Ways(engine.complete, engine.complete_async, engine.stream)


def conversing(engine: Engine) -> Ways[ChatChunk, ChatAnswer]:
    """Return the ways to answer a conversation."""
    return Ways(engine.chat, engine.chat_async, engine.stream_chat)


@dataclass(frozen=True)
class Asking(Generic[Piece, Whole, Response]):
    """What one call sends, and who translates what comes back."""

    ways: Ways[Piece, Whole]
    body: Mapping[str, Any]
    limits: Limits
    answer: Translation[Piece, Whole, Response]

    def now(self) -> Response:
        """Return the whole answer."""
        return self.answer.whole(self.ways.whole(self.body, self.limits))

    async def in_a_task(self) -> Response:
        """As ``now()``, for a task; cancelling it cancels the work."""
        return self.answer.whole(await self.ways.whole_async(self.body, self.limits))

    def piecewise(self) -> Reading[Piece, Response]:
        """Return the answer as it comes, for a thread or for a task."""
        stream = self.ways.stream(self.body, self.limits)
        return Reading(self.answer.take, stream, self.answer.opening())
