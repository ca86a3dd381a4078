"""What makes vectors of texts, or ranks them: on what kind of engine, one request after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from safe_llm.engines.base import Ranked
from safe_llm.engines.leases import Leases
from safe_llm.errors import MisuseError
from safe_llm.observers.watching import follow_the_caller
from safe_llm.parameters.destinations import Nowhere, warn_of_the_meaningless
from safe_llm.parameters.holding import EngineHolder
from safe_llm.parameters.model_file import said_by, tensors_of, trained_context
from safe_llm.parameters.texts import check_text, check_texts, requests_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from safe_llm.parameters.destinations import Destination

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
        wanted: dict[str, Any] = {"kv_unified": True}
        if self.n_threads and "n_threads_batch" not in self.model_kwargs:
            wanted["n_threads_batch"] = self.n_threads  # reading a text is all that is done here
        context = self._context()
        if context is None:
            return wanted
        batch = max(self.n_batch or 0, context)
        return {**wanted, "n_batch": batch, "n_ubatch": batch}


class RankingFields(WholeTextsFields):
    """What has an engine that says how well a text answers another: a llama-server."""

    engine_kind: str = Field(default="llama-server", alias="engine")

    def _for_the_work(self) -> Mapping[str, Any]:
        if isinstance(self.client, Leases):
            _check_head(self.model_path)
        return {**super()._for_the_work(), "rerank": True}

    def _ranks(self, query: str, texts: Sequence[str]) -> list[Ranked]:
        """Return all texts, the best first; an empty one is as good an answer as another."""
        check_text(query, "the query")
        follow_the_caller(verbose=self.verbose)
        found: list[Ranked] = []
        with self._framework_errors():
            for part in requests_for(texts):
                found += _after(len(found), self.engine.rerank(query, part, self._call_limits()))
        return _best_first(found)

    async def _ranks_async(self, query: str, texts: Sequence[str]) -> list[Ranked]:
        """As ``_ranks``, for a task."""
        check_text(query, "the query")
        follow_the_caller(verbose=self.verbose)
        found: list[Ranked] = []
        with self._framework_errors():
            for part in requests_for(texts):
                ranked = await self.engine.rerank_async(query, part, self._call_limits())
                found += _after(len(found), ranked)
        return _best_first(found)


def _after(start: int, ranked: Iterable[Ranked]) -> list[Ranked]:
    return [Ranked(start + one.index, one.score) for one in ranked]


def _best_first(found: Iterable[Ranked]) -> list[Ranked]:
    """Sort what came of several requests: each score is of one text, whatever stood beside it."""
    return sorted(found, key=lambda one: (-one.score, one.index))


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
    gives a vector for each token. ``query_prefix`` and ``document_prefix`` are put before a text,
    as many models want it; what is empty without its prefix is empty.
    """

    pooling: str | None = None
    normalize: bool = True
    query_prefix: str = ""
    document_prefix: str = ""

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

    def _vectors(self, texts: Sequence[str], prefix: str) -> list[list[float]]:
        """Return a vector for each text, in their order; asks nothing where one is none."""
        check_texts(texts)
        follow_the_caller(verbose=self.verbose)
        vectors: list[list[float]] = []
        with self._framework_errors():
            for part in requests_for([prefix + text for text in texts]):
                made = self.engine.embed(part, self._call_limits(), normalize=self.normalize)
                vectors += map(list, made.vectors)
        return vectors

    async def _vectors_async(self, texts: Sequence[str], prefix: str) -> list[list[float]]:
        """As ``_vectors``, for a task; cancelling it cancels the work."""
        check_texts(texts)
        follow_the_caller(verbose=self.verbose)
        vectors: list[list[float]] = []
        with self._framework_errors():
            for part in requests_for([prefix + text for text in texts]):
                limits = self._call_limits()
                made = await self.engine.embed_async(part, limits, normalize=self.normalize)
                vectors += map(list, made.vectors)
        return vectors


def _default_pooling(said: Mapping[str, Any]) -> str | None:
    own = said.get(f"{said.get('general.architecture')}.pooling_type", _NO_POOLING)
    return "mean" if own == _NO_POOLING else None


def warn_of_other_work(values: Mapping[str, Any], frames_to_the_user: int) -> None:
    """Warn by name of what means something to a text, and nothing to its vector."""
    warn_of_the_meaningless(values, _MEANINGLESS, frames_to_the_user)
