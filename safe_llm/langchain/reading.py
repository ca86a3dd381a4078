"""Between an engine's stream and LangChain's callbacks: both directions, no thread of its own."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.outputs import GenerationChunk

    from safe_llm.engines.base import CompletionStream
    from safe_llm.langchain.answers import Answer


class Reading:
    """One answer being read, by ``for`` or by ``async for``: the engine's stream, translated.

    No generator, because one that is left in the middle waits for the garbage collector, and an
    asynchronous one for its event loop as well.
    """

    def __init__(self, answer: Answer, stream: CompletionStream) -> None:
        self.answer = answer
        self._stream = stream
        self._opening = deque(answer.opening())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> GenerationChunk:
        return self._opening.popleft() if self._opening else self.answer.take(next(self._stream))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> GenerationChunk:
        if self._opening:
            return self._opening.popleft()
        return self.answer.take(await anext(self._stream))

    def close(self) -> None:
        """Cancel what is still being generated. Waits for nothing, in a task as well."""
        self._stream.close()


def tell(run: CallbackManagerForLLMRun | None, chunk: GenerationChunk, *, verbose: bool) -> None:
    """Tell the callbacks of a run about a chunk, here and now: in the thread of the caller."""
    if run is not None:
        run.on_llm_new_token(chunk.text, chunk=chunk, verbose=verbose, log_probs=_logprobs(chunk))


async def atell(
    run: AsyncCallbackManagerForLLMRun | None, chunk: GenerationChunk, *, verbose: bool
) -> None:
    """As ``tell``, in the event loop of the caller."""
    if run is not None:
        await run.on_llm_new_token(
            chunk.text, chunk=chunk, verbose=verbose, log_probs=_logprobs(chunk)
        )


def _logprobs(chunk: GenerationChunk) -> Any:
    return (chunk.generation_info or {}).get("logprobs")
