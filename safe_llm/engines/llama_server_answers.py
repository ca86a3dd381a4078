"""What llama-server answers, as the types of ``base``. Pure; asks nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from safe_llm.engines.base import (
    ChatChunk,
    CompletionChunk,
    Embeddings,
    ModelDescription,
    Ranked,
    Usage,
)
from safe_llm.errors import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.engines.base import FinishReason

CHAT_PATH = "/v1/chat/completions"
COUNT_PATH = f"{CHAT_PATH}/input_tokens"
EMBEDDINGS_PATH = "/v1/embeddings"
RERANK_PATH = "/v1/rerank"
PROPS_PATH = "/props"
TEMPLATE_PATH = "/apply-template"


def read_completion(event: Mapping[str, Any]) -> CompletionChunk:
    """Translate one event of ``/completion``'s stream."""
    logprobs = tuple(event.get("completion_probabilities") or ())
    text = str(event.get("content", ""))
    if not event.get("stop"):
        return CompletionChunk(text=text, logprobs=logprobs)
    timings = event.get("timings") or {}
    reason: FinishReason = "length" if event.get("stop_type") == "limit" else "stop"
    usage = Usage(
        prompt_tokens=int(event.get("tokens_evaluated", 0)),
        completion_tokens=int(event.get("tokens_predicted", 0)),
        cached_tokens=int(timings.get("cache_n", 0)),
    )
    return CompletionChunk(text, logprobs, reason, usage, timings)


class ChatEnding:
    """The end of a streamed chat, which comes in two events: the reason, then the usage."""

    def __init__(self) -> None:
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._timings: Mapping[str, Any] = {}

    @property
    def came(self) -> bool:
        """Whether the server has said why it stopped."""
        return self._reason is not None

    def take(self, event: Mapping[str, Any]) -> ChatChunk | None:
        """Return the event's piece of the message; keep what belongs to the end."""
        self._timings = event.get("timings") or self._timings
        if event.get("usage"):
            self._usage = _usage(event["usage"])
        choices = event.get("choices") or ()
        if not choices:
            return None
        choice = choices[0]
        self._reason = cast("FinishReason | None", choice.get("finish_reason")) or self._reason
        delta = choice.get("delta") or {}
        logprobs = tuple((choice.get("logprobs") or {}).get("content") or ())
        return ChatChunk(delta, logprobs) if delta or logprobs else None

    def piece(self) -> ChatChunk:
        """Return the last piece."""
        return ChatChunk({}, (), self._reason, self._usage, self._timings)


def _usage(said: Mapping[str, Any]) -> Usage:
    details = said.get("prompt_tokens_details") or {}
    generated = said.get("completion_tokens_details") or {}
    return Usage(
        prompt_tokens=int(said.get("prompt_tokens", 0)),
        completion_tokens=int(said.get("completion_tokens", 0)),
        cached_tokens=int(details.get("cached_tokens", 0)),
        reasoning_tokens=int(generated.get("reasoning_tokens", 0)),
    )


def read_ranks(answer: object, count: int, *, peer: str) -> tuple[Ranked, ...]:
    """Translate the scores of ``count`` documents; a document without one is a violation."""
    results = answer.get("results") if isinstance(answer, dict) else None
    try:
        ranks = [Ranked(int(one["index"]), float(one["relevance_score"])) for one in results or ()]
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolViolation(peer=peer, reason=f"{RERANK_PATH} gave no scores") from error
    if sorted(one.index for one in ranks) != list(range(count)):
        raise ProtocolViolation(
            peer=peer, reason=f"{RERANK_PATH} gave {len(ranks)} scores for {count} documents"
        )
    return tuple(sorted(ranks, key=lambda one: (-one.score, one.index)))


def read_props(props: Any, name: str) -> ModelDescription:
    """Translate ``/props``; what is no llama-server is taken to do all that OpenAI's does."""
    if not isinstance(props, dict) or "default_generation_settings" not in props:
        return ModelDescription(
            name=name, context_tokens=0, shows_tools=True, reads_calls=True, sees=True, hears=True
        )
    senses = props.get("modalities") or {}
    return ModelDescription(
        name=name,
        context_tokens=int(props["default_generation_settings"].get("n_ctx", 0)),
        shows_tools=knows_tools(props.get("chat_template")),
        reads_calls=True,
        sees=bool(senses.get("vision")),
        hears=bool(senses.get("audio")),
    )


def knows_tools(template: Any) -> bool:
    """Whether a chat template, as Jinja text, has a place for tools."""
    return bool(re.search(r"\btools\b", str(template or "")))


def read_embeddings(answer: object, count: int, *, peer: str) -> Embeddings:
    """Translate the answer for ``count`` texts; any other number is a ``ProtocolViolation``."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise ProtocolViolation(peer=peer, reason=f"{EMBEDDINGS_PATH} gave no embeddings")
    vectors = [one.get("embedding") for one in sorted(data, key=lambda one: one.get("index", 0))]
    return checked_embeddings(vectors, count, peer=peer, usage=cast("Any", answer).get("usage"))


def checked_embeddings(vectors: list[Any], count: int, *, peer: str, usage: Any) -> Embeddings:
    """Return as many vectors as there were texts; an un-pooled model gives one for each token."""
    flat = all(isinstance(one, list) and not isinstance(one[0], list) for one in vectors if one)
    if len(vectors) != count or not flat or not all(vectors):
        raise ProtocolViolation(
            peer=peer,
            reason=f"{len(vectors)} embeddings came for {count} texts, or they are not vectors",
            hint="the model is not pooled: give pooling='mean' (or cls, last)",
        )
    return Embeddings(
        vectors=tuple(tuple(one) for one in vectors),
        prompt_tokens=int((usage or {}).get("prompt_tokens", 0)),
    )
