"""Every field of the original ``LlamaCppEmbeddings``, and what becomes of it. Starts nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import gguf
import pytest

from safe_llm import MisuseError
from safe_llm.langchain import LlamaCppEmbeddings, LlamaCppRerank
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MODEL = "/nowhere/model.gguf"
BATCH = {"kv_unified": True, "embedding": True}

# The constructor of langchain_community.embeddings.llamacpp.LlamaCppEmbeddings, 0.4.2.
REACHES_THE_ENGINE: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "n_ctx": (100, {"n_ctx": 400, "n_parallel": 4, "n_batch": 100, "n_ubatch": 100}),
    "n_batch": (700, {"n_batch": 700}),
    "n_threads": (3, {"n_threads": 3}),
    "n_gpu_layers": (5, {"n_gpu_layers": 5}),
    "f16_kv": (False, {"cache_type_k": "f32", "cache_type_v": "f32"}),
    "use_mlock": (True, {"use_mlock": True}),
}
WARNS: Mapping[str, Any] = {
    "n_parts": 2,
    "seed": 7,
    "logits_all": True,
    "vocab_only": True,
    "device": "cuda",
    "client": object(),
}
ELSEWHERE = ("model_path", "verbose")


def made(**fields: Any) -> LlamaCppEmbeddings:
    return LlamaCppEmbeddings(**{"model_path": MODEL, "engine": "llama-server", **fields})


def parameters(one: LlamaCppEmbeddings | LlamaCppRerank) -> dict[str, Any]:
    found = one._engine_spec().parameters
    return json.loads(found) if isinstance(found, str) else dict(found)


@pytest.mark.parametrize("name", REACHES_THE_ENGINE)
def test_what_the_engine_must_know_reaches_it(name: str) -> None:
    value, effect = REACHES_THE_ENGINE[name]
    assert parameters(made(**{name: value})) == {**BATCH, "pooling": "mean", **effect}


@pytest.mark.parametrize("name", WARNS)
def test_what_means_nothing_to_a_vector_warns_by_name_where_the_user_wrote_it(name: str) -> None:
    with pytest.warns(UserWarning, match=f"^{name} no longer means anything: ") as caught:
        made(**{name: WARNS[name]})
    assert [one.filename for one in caught] == [__file__]


def test_n_threads_are_those_that_read_texts_where_the_library_has_others_for_that() -> None:
    """Of these it takes all that there are, unless it is told: n_threads alone had no effect."""

    def of_the_library(**fields: Any) -> Any:
        spec = made(engine="llama-cpp-python", **fields)._engine_spec()
        return json.loads(str(spec.parameters)).get("n_threads_batch")

    assert of_the_library(n_threads=3) == 3
    assert of_the_library(n_threads=3, model_kwargs={"n_threads_batch": 2}) == 2
    assert of_the_library() is None


def test_the_rest_of_the_original_is_heard_too() -> None:
    assert made()._engine_spec().model_path == MODEL
    assert len(made(verbose=True)._settings().observers) > len(
        made(verbose=False)._settings().observers
    )


def test_the_defaults_of_the_original_may_be_written_out() -> None:
    original = {"n_parts": -1, "seed": -1, "logits_all": False, "vocab_only": False}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = made(**original, client=None, device=None, use_mlock=False, n_gpu_layers=None)
    assert parameters(said) == parameters(made())


def test_every_field_is_tested_here() -> None:
    fields = {*REACHES_THE_ENGINE, *WARNS, *ELSEWHERE}
    assert len(fields) == 14
    assert fields < set(LlamaCppEmbeddings.model_fields)


@pytest.mark.parametrize("kind", ["LlamaCppEmbeddings", "LlamaCppRerank"])
@pytest.mark.parametrize("engine", ["llama-server", "auto"])
def test_making_one_opens_no_model_file(tmp_path: Path, kind: str, engine: str) -> None:
    program = f"""
import os, sys
from safe_llm.langchain import {kind}
def forbid(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".gguf"):
        os._exit(3)
sys.addaudithook(forbid)
one = {kind}(model_path={str(tiny_gguf(tmp_path))!r}, engine={engine!r})
os.write(1, b"made")
one._engine_spec()
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, timeout=20
    )
    # The second half shows that the hook would have seen it.
    if kind == "LlamaCppEmbeddings":
        assert (ran.returncode, ran.stdout) == (3, b"made"), ran.stderr
    else:
        assert ran.stdout == b"made", ran.stderr


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("n_ctxx", "n_ctx"),
        ("poling", "pooling"),
        ("pooling_type", "pooling"),
        ("modelpath", "model_path"),
    ],
)
def test_a_misspelt_field_is_an_error_that_names_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(MisuseError, match=f"you probably meant '{right}'"):
        made(**{wrong: 1})


def test_a_pooling_that_gives_no_vector_a_text_is_refused() -> None:
    for pooling in ("none", "rank", "median"):
        with pytest.raises(MisuseError, match=f"pooling='{pooling}' is not known"):
            made(pooling=pooling)


# -- what the model file says


def model_that_says(folder: Path, pooling: gguf.PoolingType | None, context: int) -> str:
    path = folder / "model.gguf"
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_context_length(context)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return str(path)


@pytest.mark.parametrize(
    ("own", "said", "sent"),
    [
        (None, None, "mean"),
        (gguf.PoolingType.NONE, None, "mean"),
        (gguf.PoolingType.CLS, None, None),
        (gguf.PoolingType.CLS, "last", "last"),
    ],
)
def test_the_pooling_of_the_model_counts_and_yours_counts_more(
    tmp_path: Path, own: gguf.PoolingType | None, said: str | None, sent: str | None
) -> None:
    path = model_that_says(tmp_path, own, 512)
    assert parameters(made(model_path=path, pooling=said)).get("pooling") == sent


@pytest.mark.parametrize(
    ("trained", "given", "longest"),
    [(512, None, 512), (8192, None, 2048), (8192, 0, 8192), (8192, 3000, 3000)],
)
def test_a_text_is_read_whole_up_to_the_context(
    tmp_path: Path, trained: int, given: int | None, longest: int
) -> None:
    found = parameters(made(model_path=model_that_says(tmp_path, None, trained), n_ctx=given))
    assert (found["n_batch"], found["n_ubatch"]) == (longest, longest)
    assert found["n_ctx"] == longest * found["n_parallel"]  # which its slots share


def test_the_library_is_asked_in_its_own_words(tmp_path: Path) -> None:
    path = model_that_says(tmp_path, None, 512)
    found = parameters(made(model_path=path, engine="llama-cpp-python", pooling="cls"))
    assert found == {
        "n_ctx": 512,
        "n_batch": 512,
        "n_ubatch": 512,
        "embedding": True,
        "pooling_type": gguf.PoolingType.CLS,
    }


# -- ranks


def test_a_reranker_wants_a_server_that_ranks() -> None:
    one = LlamaCppRerank(model_path=MODEL, n_ctx=256)
    assert parameters(one)["rerank"] is True
    assert "embedding" not in parameters(one)
    with pytest.raises(MisuseError, match="llama-cpp-python has no rerank"):
        LlamaCppRerank(model_path=MODEL, engine="llama-cpp-python")


def test_a_model_that_cannot_rank_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    one = LlamaCppRerank(model_path=str(tiny_gguf(tmp_path)))
    with pytest.raises(MisuseError, match="has nothing to rank with"):
        one.rerank(["a"], "why")
    assert one.client._held == {}
