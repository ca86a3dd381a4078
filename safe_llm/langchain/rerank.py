"""``LlamaCppRerank``: documents in the order of how well they answer a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.documents.compressor import BaseDocumentCompressor
from pydantic import Field

from safe_llm.langchain.model_errors import as_model_errors
from safe_llm.parameters.embedding import RankingFields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from langchain_core.callbacks import Callbacks
    from langchain_core.documents import Document

    from safe_llm.engines.base import Ranked

SCORE = "relevance_score"
"""Where the score of a document is, among its metadata; as in LangChain's other rerankers."""


class LlamaCppRerank(RankingFields, BaseDocumentCompressor):
    """A reranking model of llama.cpp in a process of its own, as LangChain's compressor.

    ``top_n`` documents come back, the best first (all where it is None), with their score as
    ``metadata["relevance_score"]``; the documents that were given are not changed. It runs on a
    llama-server; further fields say which, and how it is looked after, as for ``LlamaCpp``.

    Raises ``CallFailed`` and ``StartupFailed`` errors that are also LangChain's ``ModelError``, and
    ``MisuseError`` for an empty query, a model that cannot rank, and on a llama-cpp-python.
    """

    top_n: int | None = Field(default=3, ge=1)

    def _framework_errors(self) -> AbstractContextManager[None]:
        return as_model_errors()

    def rerank(
        self, documents: Sequence[str | Document], query: str, *, top_n: int | None = None
    ) -> list[dict[str, Any]]:
        """Return ``index`` and ``relevance_score`` of the best ``top_n`` documents."""
        return _plain(self._ranks(query, _texts(documents))[: top_n or self.top_n])

    async def arerank(
        self, documents: Sequence[str | Document], query: str, *, top_n: int | None = None
    ) -> list[dict[str, Any]]:
        """As ``rerank``, for a task; cancelling it cancels the work."""
        return _plain((await self._ranks_async(query, _texts(documents)))[: top_n or self.top_n])

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,
    ) -> Sequence[Document]:
        """Return the best ``top_n`` documents, the best first."""
        del callbacks
        return _scored(documents, self._ranks(query, _texts(documents))[: self.top_n])

    async def acompress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,
    ) -> Sequence[Document]:
        """As ``compress_documents``, for a task; cancelling it cancels the work."""
        del callbacks
        return _scored(documents, (await self._ranks_async(query, _texts(documents)))[: self.top_n])


def _texts(documents: Iterable[str | Document]) -> list[str]:
    return [one if isinstance(one, str) else one.page_content for one in documents]


def _plain(ranked: Iterable[Ranked]) -> list[dict[str, Any]]:
    return [{"index": one.index, SCORE: one.score} for one in ranked]


def _scored(documents: Sequence[Document], ranked: Iterable[Ranked]) -> list[Document]:
    found = []
    for one in ranked:
        document = documents[one.index]
        metadata = {**document.metadata, SCORE: one.score}
        found.append(document.model_copy(update={"metadata": metadata}))
    return found
