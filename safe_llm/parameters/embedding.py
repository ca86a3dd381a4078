"""Texts that become vectors or ranks: which can, how many at a time, on what kind of engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from safe_llm.engines.leases import Leases
from safe_llm.errors import MisuseError
from safe_llm.parameters.destinations import Nowhere, warn_of_the_meaningless
from safe_llm.parameters.holding import EngineHolder
from safe_llm.parameters.model_file import said_by, tensors_of, trained_context

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from safe_llm.parameters.destinations import Destination

TEXTS_A_REQUEST = 64
"""So many keep an engine's slots busy, and each request of them is well inside its limits."""

_LARGEST_DEFAULT_CONTEXT = 2048
"""Tokens, where nobody says: each of them takes memory of the size of the vocabulary."""

_NO_POOLING = 0  # LLAMA_POOLING_TYPE_NONE: a vector for each token
_POOLINGS: Collection[str] = ("mean", "cls", "last")
_HEADS = ("cls.weight", "cls.output.weight")
_OF_OTHER_WORK = frozenset(
    {"embedding", "pooling_type", "attention_type", "chat_format", "chat_handler", "spm_infill"}
)
_MEANINGLESS: Mapping[str, Destination] = {
    "seed": Nowhere("nothing of a vector is left to chance", default=-1),
}


class WholeTextsFields(EngineHolder):
    """What has an engine that reads each text in one piece: pooling it in pieces would be wrong.

    ``n_ctx`` is the longest text in tokens. Where it is not given it is what the model was trained
    with, at most 2048; 0 is all of that. What llama-server can read in pieces without harm (for
    the last token of a model that has a cache) may be as long as the contexts of all its slots.
    """

    further_words: ClassVar[frozenset[str]] = EngineHolder.further_words - _OF_OTHER_WORK

    def _said(self) -> Mapping[str, Any]:
        """What the model file says; nothing while the object is being made, which opens no file."""
        return said_by(self.model_path) if isinstance(self.client, Leases) else {}

    def _context(self) -> int | None:
        if self.n_ctx:
            return self.n_ctx
        trained = trained_context(self._said())
        if trained is None or self.n_ctx == 0:
            return trained
        return min(trained, _LARGEST_DEFAULT_CONTEXT)

    def _given(self) -> dict[str, Any]:
        return {**super()._given(), "n_ctx": self._context()}

    def _for_the_work(self) -> Mapping[str, Any]:
        """Read texts whole: one batch, as large as the context, and one cache for all texts.

        With a cache for each, llama-server (b11549) reads texts of different lengths in pieces of
        equal length, and its vector of a text is that of its last piece.
        """
        context = self._context()
        if context is None:
            return {"kv_unified": True}
        batch = max(self.n_batch or 0, context)
        return {"kv_unified": True, "n_batch": batch, "n_ubatch": batch}


class RankingFields(WholeTextsFields):
    """What has an engine that says how well a text answers another: a llama-server."""

    engine_kind: str = Field(default="llama-server", alias="engine")

    def _for_the_work(self) -> Mapping[str, Any]:
        if isinstance(self.client, Leases):
            _check_head(self.model_path)
        return {**super()._for_the_work(), "rerank": True}


def _check_head(model_path: str) -> None:
    """Refuse a model whose scores would be the first number of some vector (b11549)."""
    tensors = tensors_of(model_path)
    if tensors and tensors.isdisjoint(_HEADS):
        raise MisuseError(
            reason=f"the model {model_path} has nothing to rank with",
            hint="a reranking model has, such as bge-reranker-v2-m3 or Qwen3-Reranker",
        )


class EmbeddingFields(WholeTextsFields):
    """What has an engine that makes one vector of each text.

    ``pooling`` is what the model file says, and "mean" where it says none: without any, llama.cpp
    gives a vector for each token.
    """

    pooling: str | None = None

    @model_validator(mode="after")
    def _check_pooling(self) -> Self:
        if self.pooling is not None and self.pooling not in _POOLINGS:
            raise MisuseError(
                reason=f"pooling={self.pooling!r} is not known",
                hint=f"there are {', '.join(_POOLINGS)}",
            )
        return self

    def _for_the_work(self) -> Mapping[str, Any]:
        wanted = {**super()._for_the_work(), "embedding": True}
        pooling = self.pooling or _default_pooling(self._said())
        return wanted if pooling is None else {**wanted, "pooling": pooling}


def _default_pooling(said: Mapping[str, Any]) -> str | None:
    own = said.get(f"{said.get('general.architecture')}.pooling_type", _NO_POOLING)
    return "mean" if own == _NO_POOLING else None


def warn_of_other_work(values: Mapping[str, Any], frames_to_the_user: int) -> None:
    """Warn by name of what means something to a text, and nothing to its vector."""
    warn_of_the_meaningless(values, _MEANINGLESS, frames_to_the_user)


def requests_for(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts in their order, as many at a time as go into one request.

    Raises ``MisuseError`` for a text that is none, before anything is asked.
    """
    for number, text in enumerate(texts):
        check_text(text, f"text {number} of {len(texts)}")
    return _parts(texts)


def check_text(text: object, name: str) -> None:
    """Raise ``MisuseError`` for what is no text, or an empty one."""
    if isinstance(text, str) and text:
        return
    raise MisuseError(
        reason=f"{name} is {'empty' if text == '' else f'a {type(text).__name__}'}",
        hint="nothing has no meaning to compare: leave it out",
    )


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), TEXTS_A_REQUEST):
        yield list(texts[start : start + TEXTS_A_REQUEST])
