"""Between an engine's stream and LangChain's callbacks: both directions, no thread of its own."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.outputs import ChatGenerationChunk, GenerationChunk

    from safe_llm.engines.base import PieceStream

    AnyChunk = GenerationChunk | ChatGenerationChunk

Piece = TypeVar("Piece")
Chunk = TypeVar("Chunk")
Piece_contra = TypeVar("Piece_contra", contravariant=True)
Chunk_co = TypeVar("Chunk_co", covariant=True)


class Translation(Protocol[Piece_contra, Chunk_co]):
    """What makes LangChain's chunks of an engine's, in their order."""

    def opening(self) -> Sequence[Chunk_co]:
        """Return what comes before the first chunk of the engine."""
        ...

    def take(self, chunk: Piece_contra, /) -> Chunk_co:
        """Return the engine's chunk as one of LangChain's."""
        ...


class Reading(Generic[Piece, Chunk]):
    """One answer being read, by ``for`` or by ``async for``: the engine's stream, translated.

    No generator, because one that is left in the middle waits for the garbage collector, and an
    asynchronous one for its event loop as well.
    """

    def __init__(self, answer: Translation[Piece, Chunk], stream: PieceStream[Piece]) -> None:
        self._answer = answer
        self._stream = stream
        self._opening = deque(answer.opening())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        return self._opening.popleft() if self._opening else self._answer.take(next(self._stream))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        if self._opening:
            return self._opening.popleft()
        return self._answer.take(await anext(self._stream))

    def close(self) -> None:
        """Cancel what is still being generated. Waits for nothing, in a task as well."""
        self._stream.close()


def tell(
    run: CallbackManagerForLLMRun | None,
    chunk: AnyChunk,
    *,
    verbose: bool,
) -> None:
    """Tell the callbacks of a run about a chunk, here and now: in the thread of the caller."""
    if run is not None:
        run.on_llm_new_token(chunk.text, chunk=chunk, verbose=verbose, log_probs=_logprobs(chunk))


async def atell(
    run: AsyncCallbackManagerForLLMRun | None,
    chunk: AnyChunk,
    *,
    verbose: bool,
) -> None:
    """As ``tell``, in the event loop of the caller."""
    if run is not None:
        await run.on_llm_new_token(
            chunk.text, chunk=chunk, verbose=verbose, log_probs=_logprobs(chunk)
        )


def _logprobs(chunk: AnyChunk) -> Any:
    return (chunk.generation_info or {}).get("logprobs")
