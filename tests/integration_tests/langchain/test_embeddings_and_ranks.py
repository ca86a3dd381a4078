"""Vectors and ranks on real engines; their model is random, so only the shape means much."""

from __future__ import annotations

import asyncio
import inspect
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.exceptions import ContextOverflowError, ModelError

from safe_llm import CallTimeout, MisuseError, ModelFileInvalid, PromptTooLong, RemoteError
from safe_llm.langchain import LlamaCppEmbeddings, LlamaCppRerank
from tests.engine_kinds import LLAMA_SERVER
from tests.models import EMBEDDING_WIDTH, tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engine_kinds import Kind

N_CTX = 256
THREE = ["a raven", "a writing desk", "tea"]
# The constructor of langchain_community.embeddings.llamacpp.LlamaCppEmbeddings, 0.4.2.
ORIGINAL = {
    *("client", "model_path", "n_ctx", "n_parts", "seed", "f16_kv", "logits_all", "vocab_only"),
    *("use_mlock", "n_threads", "n_batch", "n_gpu_layers", "verbose", "device"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vectors")


def embeddings(kind: Kind, folder: Path, **fields: Any) -> LlamaCppEmbeddings:
    usual = {"model_path": str(tiny_gguf(folder)), "engine": kind.name, "n_threads": 1}
    return LlamaCppEmbeddings(**{**usual, "n_ctx": N_CTX, "verbose": False, **fields})


@pytest.fixture(scope="module")
def embedder(kind: Kind, folder: Path) -> Iterator[LlamaCppEmbeddings]:
    with embeddings(kind, folder) as made:
        made.start()
        yield made


def test_each_text_has_one_vector_of_length_one(embedder: LlamaCppEmbeddings) -> None:
    """The model says no pooling: the original gave a vector for each token, six for three."""
    vectors = embedder.embed_documents(THREE)
    assert [len(one) for one in vectors] == [EMBEDDING_WIDTH] * 3
    assert [math.hypot(*one) for one in vectors] == pytest.approx([1.0] * 3)
    assert vectors[1] == pytest.approx(embedder.embed_query(THREE[1]), abs=1e-4)


def test_a_vector_does_not_depend_on_the_texts_beside_it(embedder: LlamaCppEmbeddings) -> None:
    """llama-server b11549 pools the last piece of a text alone, unless all share one cache."""
    for one, text in zip(embedder.embed_documents(THREE), THREE, strict=True):
        assert one == pytest.approx(embedder.embed_query(text), abs=1e-4)


def test_a_task_gets_the_same(embedder: LlamaCppEmbeddings) -> None:
    async def ask() -> tuple[list[list[float]], list[float]]:
        return await embedder.aembed_documents(THREE), await embedder.aembed_query(THREE[0])

    vectors, one = asyncio.run(ask())
    assert vectors[0] == pytest.approx(one, abs=1e-4)
    assert len(vectors) == 3


def test_a_thousand_texts_keep_their_order(embedder: LlamaCppEmbeddings) -> None:
    vectors = embedder.embed_documents([THREE[number % 3] for number in range(1000)])
    assert len(vectors) == 1000
    for number in (1, 64, 500, 999):
        assert vectors[number] == pytest.approx(vectors[number % 3], abs=1e-4)


def test_nothing_becomes_nothing(embedder: LlamaCppEmbeddings) -> None:
    assert embedder.embed_documents([]) == []


def test_several_threads_may_ask_at_once(embedder: LlamaCppEmbeddings) -> None:
    with ThreadPoolExecutor(4) as callers:
        found = list(callers.map(embedder.embed_documents, [THREE] * 8))
    assert all(one[2] == pytest.approx(found[0][2], abs=1e-4) for one in found)


@pytest.mark.parametrize("texts", [["a", ""], ["a", None]])
def test_a_text_that_is_none_is_named(embedder: LlamaCppEmbeddings, texts: list[Any]) -> None:
    with pytest.raises(MisuseError, match="text 1 of 2 is "):
        embedder.embed_documents(texts)


def test_a_text_that_is_too_long_is_not_cut_off(embedder: LlamaCppEmbeddings) -> None:
    assert len(embedder.embed_query("x" * (N_CTX - 2))) == EMBEDDING_WIDTH
    with pytest.raises(PromptTooLong) as caught:
        embedder.embed_documents(["a", "x" * 3 * N_CTX])
    assert isinstance(caught.value, ContextOverflowError)
    assert caught.value.prompt_tokens == 3 * N_CTX + 1
    assert caught.value.context_tokens == N_CTX


def test_a_limit_holds(embedder: LlamaCppEmbeddings) -> None:
    hurried = embedder.model_copy(update={"timeout": 0.0})
    with pytest.raises(CallTimeout) as caught:
        hurried.embed_documents(["x" * 200] * 64)
    assert isinstance(caught.value, ModelError)
    assert len(embedder.embed_documents(THREE)) == 3


def test_the_file_is_missed_by_the_first_call_and_not_before(kind: Kind, folder: Path) -> None:
    made = embeddings(kind, folder, model_path="/nowhere/m.gguf")
    with made, pytest.raises(ModelFileInvalid):
        made.embed_query("a")


def test_every_field_of_the_original_is_one_of_ours(kind: Kind, folder: Path) -> None:
    assert set(LlamaCppEmbeddings.model_fields) >= ORIGINAL
    with pytest.warns(UserWarning, match="device no longer means anything"):
        embeddings(kind, folder, device="cuda").close()


@pytest.mark.parametrize(
    ("fields", "text"),
    [({"poling": "mean"}, "'pooling'"), ({"pooling": "median"}, "pooling='median' is not known")],
)
def test_what_cannot_be_meant_is_refused(
    kind: Kind, folder: Path, fields: dict[str, Any], text: str
) -> None:
    with pytest.raises(MisuseError, match=text):
        embeddings(kind, folder, **fields)


# -- ranks


@pytest.fixture(scope="module")
def reranker(folder: Path) -> Iterator[LlamaCppRerank]:
    with LlamaCppRerank(
        model_path=str(tiny_gguf(folder)), n_ctx=N_CTX, n_threads=1, verbose=False, top_n=2
    ) as made:
        made.start()
        yield made


def test_the_best_documents_come_first_with_their_scores(reranker: LlamaCppRerank) -> None:
    documents = [Document(text, metadata={"at": at}) for at, text in enumerate(THREE)]
    best = reranker.compress_documents(documents, "why")
    scores = [one.metadata["relevance_score"] for one in best]
    assert len(best) == 2
    assert scores == sorted(scores, reverse=True)
    assert [one.page_content for one in best] == [THREE[one.metadata["at"]] for one in best]
    assert [one.metadata for one in documents] == [{"at": 0}, {"at": 1}, {"at": 2}]
    ranked = reranker.rerank(THREE, "why")
    assert [one["index"] for one in ranked] == [one.metadata["at"] for one in best]
    for text, score in ((THREE[one["index"]], one["relevance_score"]) for one in ranked):
        assert reranker.rerank([text], "why")[0]["relevance_score"] == pytest.approx(score)
    same = asyncio.run(reranker.acompress_documents(documents, "why"))
    assert [one.page_content for one in same] == [one.page_content for one in best]


def test_what_cannot_be_ranked_is_named(reranker: LlamaCppRerank) -> None:
    assert reranker.compress_documents([], "why") == []
    with pytest.raises(MisuseError, match="the query is empty"):
        reranker.rerank(THREE, "")
    with pytest.raises(PromptTooLong):
        reranker.rerank(["x" * 3 * N_CTX], "why")


def test_who_cannot_rank_says_so(embedder: LlamaCppEmbeddings, kind: Kind) -> None:
    refusal = RemoteError if kind is LLAMA_SERVER else MisuseError
    with pytest.raises(refusal, match="rerank"):
        embedder.engine.rerank("why", THREE, embedder.limits)


def test_no_coroutine_is_left_to_an_executor() -> None:
    for kind in (LlamaCppEmbeddings, LlamaCppRerank):
        own = {name for name, one in vars(kind).items() if inspect.iscoroutinefunction(one)}
        assert own & {"aembed_documents", "acompress_documents"}
