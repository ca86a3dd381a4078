"""LangChain's standard suites for embeddings, on real engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

import safe_llm
from safe_llm.langchain import LlamaCppEmbeddings
from tests.standard_suite import with_its_coroutines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.embeddings import Embeddings


class OnAnEngine(EmbeddingsIntegrationTests):
    engine: ClassVar[str]

    @pytest.fixture
    def model(self) -> Iterator[LlamaCppEmbeddings]:
        with LlamaCppEmbeddings(**self.embedding_model_params) as made:
            yield made

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return LlamaCppEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        usual = {"n_ctx": 512, "n_threads": 1, "verbose": False}
        return {"model_path": str(safe_llm.pocket_model()), "engine": self.engine, **usual}


@with_its_coroutines
class TestOnLlamaServer(OnAnEngine):
    engine = "llama-server"


@with_its_coroutines
class TestOnLlamaCppPython(OnAnEngine):
    engine = "llama-cpp-python"


class TestWithoutAnEngine(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return LlamaCppEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model_path": "/nowhere/model.gguf", "verbose": False}
