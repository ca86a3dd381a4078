"""Vectors and ranks on real engines; their model is random, so only the shape means much."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.exceptions import ContextOverflowError, ModelError

from safe_llm import CallTimeout, MisuseError, ModelFileInvalid, PromptTooLong, RemoteError
from safe_llm.langchain import LlamaCppEmbeddings, LlamaCppRerank
from tests.engine_kinds import LLAMA_SERVER, becomes_idle
from tests.models import EMBEDDING_WIDTH, tiny_gguf, tiny_reranker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engine_kinds import Kind

N_CTX = 256
THREE = ["a raven", "a writing desk", "tea"]
NO_EXECUTOR = ThreadPoolExecutor(1)  # LangChain's own coroutines would run in it
NO_EXECUTOR.shutdown()


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
        asyncio.get_running_loop().set_default_executor(NO_EXECUTOR)
        return await embedder.aembed_documents(THREE), await embedder.aembed_query(THREE[0])

    vectors, one = asyncio.run(ask())
    assert vectors[0] == pytest.approx(one, abs=1e-4)
    assert len(vectors) == 3


@pytest.mark.timeout(60)  # the library takes one text at a time where the model is not pooled
def test_a_thousand_texts_keep_their_order(embedder: LlamaCppEmbeddings) -> None:
    vectors = embedder.embed_documents([THREE[number % 3] for number in range(1000)])
    assert len(vectors) == 1000
    for number in (1, 64, 500, 999):
        assert vectors[number] == pytest.approx(vectors[number % 3], abs=1e-4)


def test_a_vector_may_have_the_length_that_the_model_gives_it(
    embedder: LlamaCppEmbeddings,
) -> None:
    raw = embedder.model_copy(update={"normalize": False}).embed_documents(THREE)
    lengths = [math.hypot(*one) for one in raw]
    assert not [length for length in lengths if math.isclose(length, 1.0, abs_tol=0.1)]
    for one, length, normal in zip(raw, lengths, embedder.embed_documents(THREE), strict=True):
        assert [value / length for value in one] == pytest.approx(normal, abs=1e-4)


def test_a_prefix_stands_before_each_text_of_its_kind(embedder: LlamaCppEmbeddings) -> None:
    said = {"query_prefix": "query: ", "document_prefix": "passage: "}
    one = embedder.model_copy(update=said)
    plain = embedder.embed_documents(["query: tea", "passage: tea"])
    assert one.embed_query("tea") == pytest.approx(plain[0], abs=1e-4)
    assert one.embed_documents(["tea"])[0] == pytest.approx(plain[1], abs=1e-4)
    assert asyncio.run(one.aembed_query("tea")) == pytest.approx(plain[0], abs=1e-4)
    with pytest.raises(MisuseError, match="text 0 of 1 is empty"):
        one.embed_query("")


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


@pytest.fixture
def busy(kind: Kind, folder: Path) -> Iterator[LlamaCppEmbeddings]:
    """One that has work for seconds."""
    slow = str(tiny_gguf(folder, layers=16))
    with embeddings(kind, folder, model_path=slow) as made:
        made.start()
        yield made


LONG = ["x" * 250] * 64


def test_a_limit_holds(busy: LlamaCppEmbeddings) -> None:
    hurried = busy.model_copy(update={"timeout": 0.0})
    with pytest.raises(CallTimeout) as caught:
        hurried.embed_documents(LONG)
    assert isinstance(caught.value, ModelError)
    assert len(busy.embed_documents(THREE)) == 3


def test_who_cancels_a_task_cancels_the_work(busy: LlamaCppEmbeddings) -> None:
    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(busy.aembed_documents(LONG * 4), 0.3)

    asyncio.run(give_up())
    assert becomes_idle(busy.engine)
    assert len(busy.embed_documents(THREE)) == 3


def test_the_file_is_missed_by_the_first_call_and_not_before(kind: Kind, folder: Path) -> None:
    made = embeddings(kind, folder, model_path="/nowhere/m.gguf")
    with made, pytest.raises(ModelFileInvalid):
        made.embed_query("a")


# -- ranks


@pytest.fixture(scope="module")
def reranker(folder: Path) -> Iterator[LlamaCppRerank]:
    with LlamaCppRerank(
        model_path=str(tiny_reranker(folder)), n_ctx=N_CTX, n_threads=1, verbose=False, top_n=2
    ) as made:
        made.start()
        yield made


def test_the_best_documents_come_first_with_their_scores(reranker: LlamaCppRerank) -> None:
    documents = [Document(text, metadata={"at": at}) for at, text in enumerate(THREE)]
    best = reranker.compress_documents(documents, "why")
    scores = [one.metadata["relevance_score"] for one in best]
    assert len(best) == 2
    assert 1 > scores[0] > scores[1] > 0
    assert [one.page_content for one in best] == [THREE[one.metadata["at"]] for one in best]
    assert [one.metadata for one in documents] == [{"at": 0}, {"at": 1}, {"at": 2}]


def test_there_are_four_ways_to_the_same_ranks(reranker: LlamaCppRerank) -> None:
    async def ask() -> tuple[Any, Any]:
        asyncio.get_running_loop().set_default_executor(NO_EXECUTOR)
        documents = [Document(text) for text in THREE]
        compressed = await reranker.acompress_documents(documents, "why")
        return await reranker.arerank(THREE, "why", top_n=3), compressed

    ranked = reranker.rerank(THREE, "why", top_n=3)
    for_a_task, compressed = asyncio.run(ask())
    assert [one["index"] for one in for_a_task] == [one["index"] for one in ranked]
    assert [THREE[one["index"]] for one in ranked][:2] == [one.page_content for one in compressed]


def test_a_score_does_not_depend_on_the_documents_beside_it(reranker: LlamaCppRerank) -> None:
    """Within what a cache of 16-bit numbers rounds off; another document is 0.1 and more away."""
    for one in reranker.rerank(THREE, "why", top_n=3):
        (alone,) = reranker.rerank([THREE[one["index"]]], "why")
        assert alone["relevance_score"] == pytest.approx(one["relevance_score"], abs=0.01)


def test_a_document_is_never_ranked_by_its_last_piece(
    folder: Path, reranker: LlamaCppRerank
) -> None:
    document = "tea? " * (3 * N_CTX // 5)  # longer than a batch
    (short,) = reranker.rerank([document], "why")
    with LlamaCppRerank(
        model_path=str(tiny_reranker(folder)), n_ctx=4 * N_CTX, n_threads=1, verbose=False
    ) as large:
        (whole,) = large.rerank([document], "why")
    assert short["relevance_score"] == pytest.approx(whole["relevance_score"], abs=0.01)


def test_two_hundred_documents_are_ranked_in_one_call(reranker: LlamaCppRerank) -> None:
    texts = [f"{text} {number}" for number in range(67) for text in THREE]
    ranked = reranker.rerank(texts, "why", top_n=500)
    assert sorted(one["index"] for one in ranked) == list(range(201))


def test_more_documents_than_go_into_a_request_are_ranked_together(
    reranker: LlamaCppRerank,
) -> None:
    texts = [f"{THREE[number % 3]} {number}" for number in range(150)]
    ranked = reranker.rerank(texts, "why", top_n=len(texts))
    assert sorted(one["index"] for one in ranked) == list(range(150))
    scores = [one["relevance_score"] for one in ranked]
    assert scores == sorted(scores, reverse=True)
    (alone,) = reranker.rerank([texts[ranked[0]["index"]]], "why")
    assert alone["relevance_score"] == pytest.approx(scores[0], abs=0.01)  # of a cache in f16
    again = asyncio.run(reranker.arerank(texts, "why", top_n=150))
    assert [one["relevance_score"] for one in again] == pytest.approx(scores, abs=0.01)


def test_what_cannot_be_ranked_is_named(reranker: LlamaCppRerank) -> None:
    assert reranker.compress_documents([], "why") == []
    with pytest.raises(MisuseError, match="the query is empty"):
        reranker.rerank(THREE, "")
    with pytest.raises(ContextOverflowError) as caught:
        reranker.rerank(["x" * 5 * N_CTX], "why")
    assert isinstance(caught.value, PromptTooLong)
    assert caught.value.context_tokens == 4 * N_CTX  # of its four slots
    assert caught.value.prompt_tokens > 5 * N_CTX


def test_who_cannot_rank_says_so(embedder: LlamaCppEmbeddings, kind: Kind) -> None:
    refusal = RemoteError if kind is LLAMA_SERVER else MisuseError
    with pytest.raises(refusal, match="rerank"):
        embedder.engine.rerank("why", THREE, embedder.limits)
