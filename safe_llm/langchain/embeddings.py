"""``LlamaCppEmbeddings``: the drop-in for ``langchain_community.embeddings.LlamaCppEmbeddings``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from langchain_core.embeddings import Embeddings
from pydantic import model_validator

from safe_llm.langchain.model_errors import as_model_errors
from safe_llm.parameters.embedding import EmbeddingFields, warn_of_other_work

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class LlamaCppEmbeddings(EmbeddingFields, Embeddings):
    """A llama.cpp model in a process of its own, as LangChain's embeddings.

    Every constructor field of ``langchain_community.embeddings.LlamaCppEmbeddings`` is accepted,
    and those of ``safe_llm.langchain.LlamaCpp`` that say which engine runs the model and how it is
    looked after. There is one vector for each text, in their order and of length one, whatever the
    model. Further fields and other defaults:

    - ``pooling``: ``"mean"``, ``"cls"`` or ``"last"``; by itself what the model file says, and
      ``"mean"`` where it says nothing;
    - ``n_ctx``: the longest text in tokens; by itself what the model was trained with, at most
      2048, and 0 is all of that;
    - ``normalize``: false gives vectors of any length, as the original does;
    - ``query_prefix``, ``document_prefix``: what the model wants before a text, as its card says.

    Constructing one starts nothing and opens no file. Many texts go in requests of at most 64, each
    of them inside ``limits`` and ``timeout``.

    Raises ``CallFailed`` and ``StartupFailed`` errors that are also LangChain's ``ModelError``
    (``PromptTooLong`` with both numbers for a text that does not fit into ``n_ctx``: nothing is
    cut off), and ``MisuseError`` with its number for a text that is empty.
    """

    n_parts: int = -1
    seed: int = -1
    f16_kv: bool = True
    logits_all: bool = False
    vocab_only: bool = False
    use_mlock: bool = False
    device: str | None = None

    @model_validator(mode="after")
    def _warn_of_other_work(self) -> Self:
        warn_of_other_work({"seed": self.seed}, self.frames_to_the_user)
        return self

    def _framework_errors(self) -> AbstractContextManager[None]:
        return as_model_errors()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a vector for each text."""
        return self._vectors(texts, self.document_prefix)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """As ``embed_documents``, for a task; cancelling it cancels the work."""
        return await self._vectors_async(texts, self.document_prefix)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text."""
        return self._vectors([text], self.query_prefix)[0]

    async def aembed_query(self, text: str) -> list[float]:
        """As ``embed_query``, for a task."""
        return (await self._vectors_async([text], self.query_prefix))[0]
