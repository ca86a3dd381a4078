"""Vectors for LlamaIndex on real engines; their model is random, so only the shape means much."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import TextNode
from llama_index.core.storage.kvstore import SimpleKVStore

from safe_llm import CallTimeout, MisuseError, ModelFileInvalid, PromptTooLong
from safe_llm.llama_index import LlamaCppEmbedding
from tests.engine_kinds import becomes_idle
from tests.models import EMBEDDING_WIDTH, tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engine_kinds import Kind

N_CTX = 256
THREE = ["a raven", "a writing desk", "tea"]
LONG = "x" * (N_CTX - 2)  # a token a letter
AT_ONCE = 4  # requests, each of embed_batch_size texts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vectors")


def embedding(kind: Kind, folder: Path, **fields: Any) -> LlamaCppEmbedding:
    usual = {"model_path": str(tiny_gguf(folder)), "engine": kind.name, "n_threads": 1}
    return LlamaCppEmbedding(**{**usual, "n_ctx": N_CTX, "verbose": False, **fields})


@pytest.fixture(scope="module")
def model(kind: Kind, folder: Path) -> Iterator[LlamaCppEmbedding]:
    with embedding(kind, folder) as made:
        made.start()
        yield made


def near(vector: list[float]) -> Any:
    return pytest.approx(vector, abs=1e-4)


def test_each_text_has_one_vector_of_length_one_whoever_asks_for_it(
    model: LlamaCppEmbedding,
) -> None:
    vectors = model.get_text_embedding_batch(THREE)
    assert [len(one) for one in vectors] == [EMBEDDING_WIDTH] * 3
    assert [math.hypot(*one) for one in vectors] == pytest.approx([1.0] * 3)
    assert model.get_text_embedding(THREE[1]) == near(vectors[1])
    assert model.get_query_embedding(THREE[2]) == near(vectors[2])
    assert model.similarity(vectors[0], vectors[0]) == pytest.approx(1.0)


def test_a_task_gets_the_same(model: LlamaCppEmbedding) -> None:
    async def ask() -> list[list[float]]:
        return [
            *await model.aget_text_embedding_batch(THREE),
            await model.aget_text_embedding(THREE[0]),
            await model.aget_query_embedding(THREE[0]),
        ]

    vectors = asyncio.run(ask())
    assert len(vectors) == 5
    assert vectors[0] == near(vectors[3])
    assert vectors[0] == near(vectors[4])
    assert vectors[:3] == [near(one) for one in model.get_text_embedding_batch(THREE)]


def test_a_thousand_texts_keep_their_order_and_a_few_requests_run_at_once(
    model: LlamaCppEmbedding,
) -> None:
    texts = [THREE[number % 3] for number in range(1000)]
    small = model.model_copy(update={"embed_batch_size": 10})
    status = small.engine.status

    async def watched() -> tuple[list[list[float]], list[int]]:
        asked = asyncio.ensure_future(small.aget_text_embedding_batch(texts))
        seen = []
        while not asked.done():
            seen.append(status().calls_in_flight)
            await asyncio.wait([asked], timeout=0.001)
        return await asked, seen

    vectors, seen = asyncio.run(watched())
    assert 1 <= max(seen) <= AT_ONCE
    assert len(seen) > 25  # as many times as it asks: the loop went on turning
    for found in (vectors, model.get_text_embedding_batch(texts)):
        assert len(found) == 1000
        assert all(found[at] == near(vectors[at % 3]) for at in (1, 64, 500, 999))


def test_after_an_error_nothing_is_worked_on_any_more(model: LlamaCppEmbedding) -> None:
    small = model.model_copy(update={"embed_batch_size": 1})
    with pytest.raises(PromptTooLong):
        asyncio.run(small.aget_text_embedding_batch(["x" * 3 * N_CTX, *[LONG] * 2000]))
    assert becomes_idle(small.engine)


def test_cancelling_a_task_cancels_its_work(model: LlamaCppEmbedding) -> None:
    async def cancelled() -> None:
        asked = asyncio.ensure_future(model.aget_text_embedding_batch([LONG] * 5000))
        while not model.engine.status().calls_in_flight:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)  # a turn of the loop; the test's own bound ends it
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    asyncio.run(cancelled())
    assert becomes_idle(model.engine)
    assert len(model.get_text_embedding_batch(THREE)) == 3


def test_nothing_becomes_nothing(model: LlamaCppEmbedding) -> None:
    assert model.get_text_embedding_batch([]) == []
    assert asyncio.run(model.aget_text_embedding_batch([])) == []


def test_several_threads_may_ask_at_once(model: LlamaCppEmbedding) -> None:
    with ThreadPoolExecutor(4) as callers:
        found = list(callers.map(model.get_text_embedding_batch, [THREE] * 8))
    assert all(one[2] == near(found[0][2]) for one in found)


def test_a_text_that_is_empty_is_named_before_any_is_asked_for(model: LlamaCppEmbedding) -> None:
    texts = [*["a"] * 150, ""]
    with pytest.raises(MisuseError, match="text 150 of 151 is empty"):
        model.get_text_embedding_batch(texts)
    with pytest.raises(MisuseError, match="text 150 of 151 is empty"):
        asyncio.run(model.aget_text_embedding_batch(texts))
    with pytest.raises(MisuseError, match="is empty"):
        model.get_query_embedding("")


def test_a_text_that_is_too_long_is_not_cut_off(model: LlamaCppEmbedding) -> None:
    assert len(model.get_text_embedding(LONG)) == EMBEDDING_WIDTH
    with pytest.raises(PromptTooLong) as caught:
        model.get_text_embedding_batch(["a", "x" * 3 * N_CTX])
    assert caught.value.prompt_tokens == 3 * N_CTX + 1
    assert caught.value.context_tokens == N_CTX


def test_a_limit_holds(model: LlamaCppEmbedding) -> None:
    hurried = model.model_copy(update={"timeout": 0.0})
    with pytest.raises(CallTimeout):
        hurried.get_text_embedding_batch([LONG] * 64)
    assert len(model.get_text_embedding_batch(THREE)) == 3


def test_the_file_is_missed_by_the_first_call_and_not_before(kind: Kind, folder: Path) -> None:
    made = embedding(kind, folder, model_path="/nowhere/m.gguf")
    with made, pytest.raises(ModelFileInvalid):
        made.get_text_embedding("a")


def test_what_the_cache_of_llama_index_has_is_not_asked_for_again(
    kind: Kind, folder: Path, model: LlamaCppEmbedding
) -> None:
    with embedding(kind, folder, embeddings_cache=SimpleKVStore()) as cached:
        first = cached.get_text_embedding_batch(THREE)
        cached.timeout = 0.0  # from here on each question would be refused
        assert cached.get_text_embedding_batch(THREE) == first
        assert asyncio.run(cached.aget_query_embedding(THREE[0])) == first[0]


def test_an_index_finds_the_text_that_is_asked_for(model: LlamaCppEmbedding) -> None:
    nodes = [TextNode(text=text) for text in THREE]
    index = VectorStoreIndex(nodes, embed_model=model)
    found = index.as_retriever(similarity_top_k=1).retrieve(THREE[1])
    assert [one.text for one in found] == [THREE[1]]
    assert found[0].score == pytest.approx(1.0, abs=1e-3)


def test_a_pipeline_takes_it_as_a_step(model: LlamaCppEmbedding) -> None:
    done = IngestionPipeline(transformations=[model]).run(
        nodes=[TextNode(text=text) for text in THREE]
    )
    assert [one.embedding for one in done] == [near(model.get_text_embedding(t)) for t in THREE]
