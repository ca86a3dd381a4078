"""``LlamaCppEmbedding``: vectors for LlamaIndex, of a llama.cpp model. Runs no model in-process.

It translates between LlamaIndex and an engine, and nothing else: constructing one starts nothing
and opens no file. What is asynchronous never blocks the event loop.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from llama_index.core.base.embeddings.base import BaseEmbedding
from pydantic import Field, SecretStr, model_validator

from safe_llm.llama_index.fields import as_objects
from safe_llm.parameters.embedding import EmbeddingFields
from safe_llm.parameters.texts import TEXTS_A_REQUEST, check_texts

_BATCHES_AT_ONCE = 4
"""LlamaIndex would ask for all at once: the last of a thousand would spend its limits in a queue,
and after the first error the others would still be worked on, for nobody."""

_NOBODY_SAID = "unknown"  # LlamaIndex's own default


class LlamaCppEmbedding(EmbeddingFields, BaseEmbedding):
    """A llama.cpp model in a process of its own, as LlamaIndex's embedding model.

    There is one vector for each text, in their order and of length one, whatever the model. The
    fields are those of ``safe_llm.llama_index.LlamaCPP`` that say which engine runs the model and
    how it is looked after, LlamaIndex's own, and:

    - ``pooling``: ``"mean"``, ``"cls"`` or ``"last"``; by itself what the model file says, and
      ``"mean"`` where it says nothing;
    - ``n_ctx``: the longest text in tokens; by itself what the model was trained with, at most
      2048, and 0 is all of that;
    - ``normalize``: false gives vectors of any length;
    - ``query_prefix``, ``document_prefix``: what the model wants before a text, as its card says;
    - ``embed_batch_size``: at most so many texts go in one request, and each request is inside
      ``limits`` and ``timeout``.

    The process is started by the first call, or by ``start()``. Cancelling a task cancels its work.

    Raises the ``CallFailed`` and ``StartupFailed`` errors of safe_llm (``PromptTooLong`` with both
    numbers for a text that does not fit into ``n_ctx``: nothing is cut off), and ``MisuseError``
    with its number for a text that is empty.
    """

    embed_batch_size: int = Field(default=TEXTS_A_REQUEST, gt=0, le=2048)
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _read_what_was_written(cls, values: Any) -> Any:
        return as_objects(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _name_the_model(self) -> Self:
        if self.model_name == _NOBODY_SAID and self.model_path:
            self.model_name = Path(self.model_path).name
        return self

    @classmethod
    def class_name(cls) -> str:
        """What LlamaIndex writes down with an object's fields."""
        return "LlamaCppEmbedding"

    # -- calls

    def get_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[list[float]]:
        """Return a vector for each text; asks nothing where one of them is empty."""
        check_texts(texts)
        return super().get_text_embedding_batch(texts, show_progress, **kwargs)

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[list[float]]:
        """As ``get_text_embedding_batch()``, for a task, with a few requests at a time."""
        check_texts(texts)
        ahead = self.embed_batch_size * max(self.num_workers or 0, _BATCHES_AT_ONCE)
        vectors: list[list[float]] = []
        for start in range(0, len(texts), ahead):
            part = texts[start : start + ahead]
            vectors += await super().aget_text_embedding_batch(part, show_progress, **kwargs)
        return vectors

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._vectors(texts, self.document_prefix)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await self._vectors_async(texts, self.document_prefix)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._vectors([text], self.document_prefix)[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._vectors_async([text], self.document_prefix))[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._vectors([query], self.query_prefix)[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return (await self._vectors_async([query], self.query_prefix))[0]
