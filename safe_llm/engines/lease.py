"""A share in an engine, as an adapter holds it: the blocking and the async way to every work.

In a forked child or an unpickled object a lease finds that it is somewhere else, says so once, and
takes an engine of that process.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from safe_llm.engines.aggregation import whole_answer, whole_completion
from safe_llm.engines.backend import Backend, status
from safe_llm.engines.registry import closed_error, registry
from safe_llm.process.waking import refuse_on_service_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from safe_llm.engines.base import (
        ChatAnswer,
        ChatChunk,
        ChatStream,
        Completion,
        CompletionChunk,
        CompletionStream,
        Embeddings,
        EngineStatus,
        ModelDescription,
        PieceStream,
        Ranked,
    )
    from safe_llm.engines.registry import Shared
    from safe_llm.engines.settings import EngineSettings
    from safe_llm.engines.spec import EngineSpec
    from safe_llm.limits import Limits
    from safe_llm.supervise.job import Job

P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[Concatenate[Backend, P], Coroutine[Any, Any, T]]


async def _start(engine: Backend, limits: Limits) -> None:
    await engine.start(limits)


async def _complete(engine: Backend, body: Mapping[str, Any], limits: Limits) -> Completion:
    pieces: list[CompletionChunk] = []
    await engine.generate(body, limits, pieces.append)
    return whole_completion(pieces)


async def _chat(engine: Backend, body: Mapping[str, Any], limits: Limits) -> ChatAnswer:
    pieces: list[ChatChunk] = []
    await engine.converse(body, limits, pieces.append)
    return whole_answer(pieces)


async def _embed(
    engine: Backend, texts: Sequence[str], limits: Limits, *, normalize: bool
) -> Embeddings:
    return await engine.embed(texts, limits, normalize=normalize)


async def _rerank(
    engine: Backend, query: str, documents: Sequence[str], limits: Limits
) -> tuple[Ranked, ...]:
    return await engine.rerank(query, documents, limits)


async def _tokenize(engine: Backend, text: str, limits: Limits) -> list[int]:
    return await engine.tokenize(text, limits)


async def _count(engine: Backend, body: Mapping[str, Any], limits: Limits) -> int:
    return await engine.count_tokens(body, limits)


async def _describe(engine: Backend, limits: Limits) -> ModelDescription:
    return await engine.describe(limits)


async def _stop(engine: Backend, reason: str) -> None:
    await engine.session.stop(reason)


class Lease:
    """A share in an engine. Implements ``engines.base.Engine``.

    Taking one starts nothing; the first call does. ``close()`` gives it back, and the last one
    stops the engine and waits until nothing of it is left. A call after that is a
    ``MisuseError``.
    """

    def __init__(self, spec: EngineSpec, settings: EngineSettings) -> None:
        self._spec = spec
        self._settings = settings
        self._closed = True  # until there is something to close
        self._take()
        self._closed = False

    def _take(self) -> None:
        self._owner = os.getpid()
        self._registry = registry()
        self._token = object()
        self._shared = self._registry.take(self._spec, self._settings, self._token)

    # -- calls

    def start(self, limits: Limits) -> None:
        """Have the engine ready, in this thread's time rather than in the first call's."""
        self._wait_for(_start, limits)

    async def start_async(self, limits: Limits) -> None:
        """As ``start``, for a task."""
        await self._submit(_start, limits).result_async()

    def complete(self, body: Mapping[str, Any], limits: Limits) -> Completion:
        """Complete one prompt."""
        return self._wait_for(_complete, body, limits)

    async def complete_async(self, body: Mapping[str, Any], limits: Limits) -> Completion:
        """As ``complete``, for a task; cancelling it has the engine stop working on it."""
        return await self._submit(_complete, body, limits).result_async()

    def stream(self, body: Mapping[str, Any], limits: Limits) -> CompletionStream:
        """Complete one prompt, piece by piece; leaving the stream cancels the work."""
        engine = self._mine().engine
        return self._stream(engine, partial(engine.generate, body, limits))

    def chat(self, body: Mapping[str, Any], limits: Limits) -> ChatAnswer:
        """Answer one conversation."""
        return self._wait_for(_chat, body, limits)

    async def chat_async(self, body: Mapping[str, Any], limits: Limits) -> ChatAnswer:
        """As ``chat``, for a task; cancelling it has the engine stop working on it."""
        return await self._submit(_chat, body, limits).result_async()

    def stream_chat(self, body: Mapping[str, Any], limits: Limits) -> ChatStream:
        """Answer one conversation, piece by piece; leaving the stream cancels the work."""
        engine = self._mine().engine
        return self._stream(engine, partial(engine.converse, body, limits))

    def embed(self, texts: Sequence[str], limits: Limits, *, normalize: bool = True) -> Embeddings:
        """Return one vector for each text."""
        return self._wait_for(_embed, texts, limits, normalize=normalize)

    async def embed_async(
        self, texts: Sequence[str], limits: Limits, *, normalize: bool = True
    ) -> Embeddings:
        """As ``embed``, for a task."""
        return await self._submit(_embed, texts, limits, normalize=normalize).result_async()

    def rerank(self, query: str, documents: Sequence[str], limits: Limits) -> tuple[Ranked, ...]:
        """Return all documents, the best first."""
        return self._wait_for(_rerank, query, documents, limits)

    async def rerank_async(
        self, query: str, documents: Sequence[str], limits: Limits
    ) -> tuple[Ranked, ...]:
        """As ``rerank``, for a task."""
        return await self._submit(_rerank, query, documents, limits).result_async()

    def tokenize(self, text: str, limits: Limits) -> list[int]:
        """Return the tokens of a text."""
        return self._wait_for(_tokenize, text, limits)

    async def tokenize_async(self, text: str, limits: Limits) -> list[int]:
        """As ``tokenize``, for a task."""
        return await self._submit(_tokenize, text, limits).result_async()

    def count_tokens(self, body: Mapping[str, Any], limits: Limits) -> int:
        """Return how many tokens the prompt of a chat has."""
        return self._wait_for(_count, body, limits)

    async def count_tokens_async(self, body: Mapping[str, Any], limits: Limits) -> int:
        """As ``count_tokens``, for a task."""
        return await self._submit(_count, body, limits).result_async()

    def describe(self, limits: Limits) -> ModelDescription:
        """Return what the model is and can take, from an engine that is started for it."""
        return self._wait_for(_describe, limits)

    async def describe_async(self, limits: Limits) -> ModelDescription:
        """As ``describe``, for a task."""
        return await self._submit(_describe, limits).result_async()

    def status(self) -> EngineStatus:
        """Return what is known of the engine; never blocks."""
        return status(self._shared.engine, len(self._shared.holders))

    def _wait_for(self, work: Work[P, T], *args: P.args, **named: P.kwargs) -> T:
        refuse_on_service_thread()  # before anything is begun that nobody would wait for
        return self._submit(work, *args, **named).result()

    def _submit(self, work: Work[P, T], *args: P.args, **named: P.kwargs) -> Job[T]:
        engine = self._mine().engine
        served = partial(self._registry.serve, engine, partial(work, engine, *args, **named))
        return engine.portal.submit(served, self._spec.name)

    def _stream(
        self, engine: Backend, work: Callable[[Callable[[T], None]], Awaitable[None]]
    ) -> PieceStream[T]:
        leases = self._registry

        async def served(emit: Callable[[T], None]) -> None:
            await leases.serve(engine, partial(work, emit))

        return engine.portal.stream(served, self._spec.name)

    def _mine(self) -> Shared:
        """Return the shared engine, of *this* process; refuse a lease that was given back."""
        if self._closed:
            raise closed_error(self._spec)
        if self._owner != os.getpid():
            warn_of_second_engine(self._spec)
            self._take()
        return self._shared

    # -- the end

    def close(self) -> None:
        """Give the lease back; stop the engine if it was the last one, and wait for that."""
        refuse_on_service_thread()
        engine = self._give_back()
        if engine is not None:
            engine.portal.submit(partial(_stop, engine, "close()"), self._spec.name).result()

    async def close_async(self) -> None:
        """As ``close``, for a task."""
        engine = self._give_back()
        if engine is not None:
            job = engine.portal.submit(partial(_stop, engine, "close()"), self._spec.name)
            await job.result_async()

    def release_soon(self) -> None:
        """Give the lease back without waiting or locking: what a finalizer may do."""
        if not self._closed and self._owner == os.getpid():
            self._shared.engine.portal.post(self._release)

    def _release(self) -> None:
        engine = self._give_back()
        if engine is not None:
            engine.portal.spawn_task(partial(_stop, engine, "garbage collected"), self._spec.name)

    def _give_back(self) -> Backend | None:
        self._closed = True
        if self._owner != os.getpid():
            return None
        return self._registry.give_back(self._shared, self._token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.release_soon()


def lease(spec: EngineSpec, settings: EngineSettings) -> Lease:
    """Return a share in the engine of this specification; nothing is started by it."""
    return Lease(spec, settings)


def warn_of_second_engine(spec: EngineSpec) -> None:
    """Say that an object has come into another process and starts an engine of its own there."""
    warnings.warn(
        f"{spec.name} is used in another process than the one that made it, and starts an engine"
        " of its own here; to share one, start a llama-server and give its address as base_url",
        RuntimeWarning,
        stacklevel=2,
    )
