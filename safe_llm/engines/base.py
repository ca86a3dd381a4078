"""What every engine offers to the adapters, in the trade's words. Names no framework and no server.

An engine is one or more supervised processes (or somebody else's, with ``base_url``) and a way to
speak to them. Its blocking and its async methods do the same work: it is done on the portal, never
in the caller's loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from safe_llm.limits import Limits
    from safe_llm.supervise.states import State

FinishReason = Literal["stop", "length", "tool_calls"]
Piece_co = TypeVar("Piece_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a call cost."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class CompletionChunk:
    """A piece of a completion. The last one carries the reason, the usage and the timings.

    ``logprobs`` has an entry for each token, in the words of llama-server's
    ``completion_probabilities``.
    """

    text: str
    logprobs: tuple[Mapping[str, Any], ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    timings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole completion, aggregated by us from a stream."""

    text: str
    finish_reason: FinishReason | None
    usage: Usage | None
    logprobs: tuple[Mapping[str, Any], ...] = ()
    timings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChatChunk:
    """A piece of an assistant's message; ``delta`` is as in OpenAI's streamed chat completions.

    Its keys are ``role``, ``content``, ``reasoning_content`` and ``tool_calls``, whose entries
    carry an ``index``, and ``arguments`` in pieces. The last chunk carries the rest.
    """

    delta: Mapping[str, Any]
    logprobs: tuple[Mapping[str, Any], ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    timings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """A whole assistant's message as OpenAI writes it: ``role``, ``content``, ``tool_calls``."""

    message: Mapping[str, Any]
    finish_reason: FinishReason | None
    usage: Usage | None
    logprobs: tuple[Mapping[str, Any], ...] = ()
    timings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector for each text, in their order, of the length that the model has."""

    vectors: tuple[tuple[float, ...], ...]
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """How well a document answers a query; ``index`` is its place among those that were given."""

    index: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """What a loaded model is and can take; sizes in tokens.

    ``context_tokens`` is what one call may use, prompt and answer together.
    """

    name: str
    context_tokens: int
    shows_tools: bool  # its chat template does
    reads_calls: bool  # the engine finds calls of tools in the text
    sees: bool = False
    hears: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """An engine at one moment. Sizes in bytes, times in seconds.

    ``pid`` is its process, the first one where it has several, ``pids`` are all that run.
    """

    name: str
    state: State
    pid: int | None
    pids: tuple[int, ...]
    model: str
    uptime: float
    restarts: int
    calls_in_flight: int
    stdout_bytes: int
    stderr_bytes: int
    dropped_bytes: int
    heartbeat_gap: float
    leases: int
    last_lines: tuple[str, ...]


class PieceStream(Protocol[Piece_co]):
    """A running answer, read by ``for`` or by ``async for``.

    Leaving it early (``break`` and dropping it, ``close()``, ``aclose()``) cancels the work in the
    engine. How slowly it is read has no influence on the engine's deadlines.
    """

    def __iter__(self) -> Iterator[Piece_co]: ...
    def __next__(self) -> Piece_co: ...
    def __aiter__(self) -> AsyncIterator[Piece_co]: ...
    async def __anext__(self) -> Piece_co: ...

    def close(self) -> None:
        """Cancel what is still being generated."""

    async def aclose(self) -> None:
        """As ``close()``, for a task."""


CompletionStream = PieceStream[CompletionChunk]
ChatStream = PieceStream[ChatChunk]
EmitText = Callable[[CompletionChunk], None]
EmitChat = Callable[[ChatChunk], None]


class Engine(Protocol):
    """An engine as the adapters see it.

    A completion's ``body`` is in the words of llama-server's ``/completion``, a chat's in those of
    OpenAI's chat completions; what an engine cannot do of it is a ``MisuseError`` that names it.

    Every method raises ``CallFailed`` or ``StartupFailed`` errors inside the limits that it was
    given, and ``MisuseError`` after ``close()`` or when called on one of our own threads.
    """

    def start(self, limits: Limits) -> None:
        """Return when the engine is ready; starting a ready engine does nothing."""

    async def start_async(self, limits: Limits) -> None:
        """As ``start()``, for a task."""

    def complete(self, body: Mapping[str, Any], limits: Limits) -> Completion:
        """Generate a whole completion."""
        ...

    async def complete_async(self, body: Mapping[str, Any], limits: Limits) -> Completion:
        """As ``complete()``, for a task; cancelling it cancels the work."""
        ...

    def stream(self, body: Mapping[str, Any], limits: Limits) -> CompletionStream:
        """Generate a completion piece by piece, for a thread or for a task."""
        ...

    def chat(self, body: Mapping[str, Any], limits: Limits) -> ChatAnswer:
        """Answer a conversation, with the chat template of the model."""
        ...

    async def chat_async(self, body: Mapping[str, Any], limits: Limits) -> ChatAnswer:
        """As ``chat()``, for a task; cancelling it cancels the work."""
        ...

    def stream_chat(self, body: Mapping[str, Any], limits: Limits) -> ChatStream:
        """Answer a conversation piece by piece, for a thread or for a task."""
        ...

    def embed(self, texts: Sequence[str], limits: Limits, *, normalize: bool = True) -> Embeddings:
        """Return one vector for each text, of length one if they are to be normalised.

        The engine must have been made for ``embedding``.
        """
        ...

    async def embed_async(
        self, texts: Sequence[str], limits: Limits, *, normalize: bool = True
    ) -> Embeddings:
        """As ``embed()``, for a task."""
        ...

    def rerank(self, query: str, documents: Sequence[str], limits: Limits) -> tuple[Ranked, ...]:
        """Return all documents, the best first. The engine must have been made for ``rerank``."""
        ...

    async def rerank_async(
        self, query: str, documents: Sequence[str], limits: Limits
    ) -> tuple[Ranked, ...]:
        """As ``rerank()``, for a task."""
        ...

    def tokenize(self, text: str, limits: Limits) -> list[int]:
        """Token ids of ``text``, without a leading beginning-of-sequence token."""
        ...

    async def tokenize_async(self, text: str, limits: Limits) -> list[int]:
        """As ``tokenize()``, for a task."""
        ...

    def count_tokens(self, body: Mapping[str, Any], limits: Limits) -> int:
        """Tokens of a chat's prompt, template and tools included, also of one that is too long."""
        ...

    async def count_tokens_async(self, body: Mapping[str, Any], limits: Limits) -> int:
        """As ``count_tokens()``, for a task."""
        ...

    def describe(self, limits: Limits) -> ModelDescription:
        """What the model is and can take; starts the engine."""
        ...

    async def describe_async(self, limits: Limits) -> ModelDescription:
        """As ``describe()``, for a task."""
        ...

    def status(self) -> EngineStatus:
        """What the engine is doing; never waits, and never starts it."""
        ...

    def close(self) -> None:
        """Give up the lease; the last one to do so stops the process."""

    async def close_async(self) -> None:
        """As ``close()``, for a task."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...
