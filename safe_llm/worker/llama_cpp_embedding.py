"""One vector for each text, never of less than all of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import llama_cpp

from safe_llm.worker.conversation import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from safe_llm.worker.llama_cpp_model import Model


def embed(model: Model, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield one reply with as many vectors as there are texts."""
    texts = arguments["texts"]
    _check(model, texts)
    counts = [_count(model, number, text) for number, text in enumerate(texts)]
    vectors: list[list[float]] = []
    for start, end in _batches(counts, model.n_batch, _most_at_once(model)):
        model.attend()
        vectors += map(_pooled, model.embed(texts[start:end], truncate=False))
    if not all(math.isfinite(value) for vector in vectors for value in vector):
        raise Refused("failed", "the model gave numbers that are not finite")
    if arguments.get("normalize"):
        vectors = [_normalised(vector) for vector in vectors]
    yield "done", {"vectors": vectors, "usage": {"prompt_tokens": sum(counts)}}


def _check(model: Model, texts: Any) -> None:
    if not model.context_params.embeddings:
        raise Refused("bad_request", "this engine was made without embedding=True")
    if model.pooling_type() == llama_cpp.LLAMA_POOLING_TYPE_RANK:
        # The library would read a whole vector where llama.cpp has written one number.
        raise Refused("bad_request", "this model ranks texts, it does not embed them")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refused("bad_request", "texts is no list of texts")


def _count(model: Model, number: int, text: str) -> int:
    if not text:
        raise Refused("bad_request", f"text {number} is empty: nothing has no meaning to embed")
    count = len(model.tokenize(text.encode()))
    if count > model.n_batch:
        raise Refused(
            "context_exceeded",
            f"text {number} has {count} tokens, and at most {model.n_batch} are embedded",
            prompt_tokens=count,
            context_tokens=model.n_batch,
        )
    return count


def _most_at_once(model: Model) -> int:
    """Texts in a batch. Where none are pooled the library mixes up all but the first (0.3.36)."""
    is_pooled = model.pooling_type() != llama_cpp.LLAMA_POOLING_TYPE_NONE
    return int(model.context_params.n_seq_max) if is_pooled else 1


def _batches(counts: Sequence[int], n_batch: int, most: int) -> Iterator[tuple[int, int]]:
    """Cut where the library would by itself, so that what it decodes at once is the same."""
    start, tokens = 0, 0
    for end, count in enumerate(counts):
        if tokens + count > n_batch or end - start >= most:
            yield start, end
            start, tokens = end, 0
        tokens += count
    if start < len(counts):
        yield start, len(counts)


def _pooled(embedding: Sequence[Any]) -> list[float]:
    """One vector for a text: a model that is not pooled gives one for each of its tokens."""
    if not isinstance(embedding[0], (list, tuple)):
        return list(embedding)
    return [sum(column) / len(embedding) for column in zip(*embedding, strict=True)]


def _normalised(vector: Sequence[float]) -> list[float]:
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else list(vector)
