from __future__ import annotations

import ast
import importlib.util
import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest

from safe_llm import MisuseError
from safe_llm.engines.spec import LlamaCppPythonSpec
from safe_llm.langchain import LlamaCpp
from safe_llm.parameters.destinations import ToEngine
from safe_llm.parameters.library_parameters import LIBRARY
from safe_llm.parameters.original import ORIGINAL
from tests.unit_tests.langchain.test_every_field_of_the_original import FIELDS

MODEL = "/nowhere/model.gguf"

PARAMETERS: dict[str, dict[str, Any]] = {
    "lora_path": {"lora_path": "/nowhere/lora.gguf"},
    "n_ctx": {"n_ctx": 1024},
    "f16_kv": {"type_k": 0, "type_v": 0},
    "use_mlock": {"use_mlock": True},
    "n_threads": {"n_threads": 3},
    "n_batch": {"n_batch": 256},
    "n_gpu_layers": {"n_gpu_layers": 7},
    "use_mmap": {"use_mmap": False},
    "rope_freq_scale": {"rope_freq_scale": 0.5},
    "rope_freq_base": {"rope_freq_base": 500000.0},
    "logits_all": {"logits_all": True},
    "vocab_only": {"vocab_only": True},
    "logprobs": {"logits_all": True},  # without which the library refuses them
    "model_kwargs": {"n_ubatch": 64},
}
"""What the library is constructed with, by each field of the original that it is constructed with.

The others are the request's, and the same whatever the engine is.
"""
WARNINGS = {"client", "lora_base", "n_parts"}


class LlamaPromptLookupDecoding:
    """As the library's own, whose arguments are its only state."""

    def __init__(self, max_ngram_size: int = 2, num_pred_tokens: int = 10) -> None:
        self.max_ngram_size = max_ngram_size
        self.num_pred_tokens = num_pred_tokens


def wanted(**fields: Any) -> LlamaCppPythonSpec:
    llm = LlamaCpp(**{"engine": "llama-cpp-python", "model_path": MODEL, **fields})
    spec = llm._engine_spec()
    assert isinstance(spec, LlamaCppPythonSpec)
    return spec


def parameters(**fields: Any) -> dict[str, Any]:
    given: dict[str, Any] = json.loads(wanted(**fields).parameters)
    return given


def of_the_library() -> set[str]:
    """The parameters of ``llama_cpp.Llama``, read without loading any of its native code."""
    spec = importlib.util.find_spec("llama_cpp")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).with_name("llama.py").read_text("utf-8")
    classes = (one for one in ast.parse(source).body if isinstance(one, ast.ClassDef))
    llama = next(one for one in classes if one.name == "Llama")
    functions = (one for one in llama.body if isinstance(one, ast.FunctionDef))
    constructor = next(one for one in functions if one.name == "__init__")
    return {one.arg for one in constructor.args.kwonlyargs}


def test_the_table_has_every_field_of_the_original_and_every_parameter_of_the_library() -> None:
    assert {*ORIGINAL, *of_the_library()} <= set(LIBRARY)


def test_what_goes_to_the_library_it_has() -> None:
    goes = [one.names for one in LIBRARY.values() if isinstance(one, ToEngine)]
    assert {name for names in goes for name in names} <= {*of_the_library(), "draft"}


@pytest.mark.parametrize("name", sorted(set(FIELDS) - WARNINGS))
def test_a_field_of_the_original_constructs_the_library_as_it_always_did(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parameters(**{name: FIELDS[name].value}) == PARAMETERS.get(name, {})


@pytest.mark.parametrize("name", sorted(WARNINGS))
def test_a_parameter_that_means_nothing_to_it_either_warns_by_name(name: str) -> None:
    with pytest.warns(UserWarning, match=f"^{name} no longer means anything: "):
        assert parameters(**{name: FIELDS[name].value}) == {}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"n_threads_batch": 2, "flash_attn": True}, {"n_threads_batch": 2, "flash_attn": True}),
        ({"type_k": 8, "type_v": "q4_0"}, {"type_k": 8, "type_v": 2}),
        ({"split_mode": 2, "main_gpu": 1}, {"split_mode": 2, "main_gpu": 1}),
        ({"tensor_split": [0.7, 0.3]}, {"tensor_split": [0.7, 0.3]}),
        ({"kv_overrides": {"a.b": True, "c": 3}}, {"kv_overrides": {"a.b": True, "c": 3}}),
        ({"numa": True, "no_perf": True}, {"numa": True, "no_perf": True}),
        ({"offload_kqv": False, "op_offload": False}, {"offload_kqv": False, "op_offload": False}),
        ({"rope_scaling_type": 2, "swa_full": True}, {"rope_scaling_type": 2, "swa_full": True}),
        ({"lora_path": "a.gguf", "lora_scale": 0.5}, {"lora_path": "a.gguf", "lora_scale": 0.5}),
        ({"n_ctx": 512, "n_parallel": 3}, {"n_ctx": 512}),
    ],
)  # fmt: skip
def test_a_further_parameter_of_the_library_reaches_it_named_or_in_model_kwargs(
    fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert parameters(**fields) == expected
    further = {name: value for name, value in fields.items() if name != "n_parallel"}
    assert parameters(model_kwargs=further) == expected


def test_calls_that_are_to_run_at_once_take_a_process_each() -> None:
    assert (wanted().n_workers, wanted(n_parallel=3).n_workers) == (1, 3)


@pytest.mark.parametrize(
    "draft", [LlamaPromptLookupDecoding(3, 8), {"max_ngram_size": 3, "num_pred_tokens": 8}]
)
def test_a_draft_model_that_is_two_numbers_is_sent_as_these(draft: object) -> None:
    spec = wanted(draft_model=draft)
    assert spec.loading()["draft"] == {"max_ngram_size": 3, "num_pred_tokens": 8}
    assert spec.loading()["parameters"] == {}
    assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"cache_ram_mib": 100}, "llama-cpp-python has no cache_ram_mib\nhint: engine='llama-se"),
        ({"server_args": ["-v"]}, "server_args cannot be given to llama-cpp-python"),
        ({"server_binary": "x"}, "server_binary cannot be given to llama-cpp-python"),
        ({"base_url": "http://h:1", "api_key": "k"}, "api_key, base_url cannot be given to"),
        ({"draft_model": object()}, "draft_model is a object, which cannot be sent to a process"),
        ({"type_k": "q9"}, "'q9' is no type of a cache\nhint: one of f32, f16"),
        ({"model_path": ""}, "LlamaCpp has no model_path"),
    ],
)
def test_what_the_library_cannot_do_is_refused_by_name_before_anything_starts(
    fields: dict[str, Any], text: str
) -> None:
    with pytest.raises(MisuseError) as caught:
        wanted(**fields)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    "fields", [{"use_mmap": True, "f16_kv": True}, {"use_mlock": False}, {"temperature": 0.1}]
)
def test_saying_what_happens_anyway_asks_for_the_same_engine(fields: dict[str, Any]) -> None:
    assert wanted(**fields) == wanted()


def test_answers_are_identified_by_the_kind_of_engine_and_its_parameters() -> None:
    fields: dict[str, Any] = {"model_path": MODEL, "n_ctx": 512}
    library = LlamaCpp(engine="llama-cpp-python", **fields)._identifying_params
    server = LlamaCpp(engine="llama-server", n_parallel=1, **fields)._identifying_params
    assert library["engine"] == {"n_ctx": 512}
    assert (library["engine_kind"], server["engine_kind"]) == ("llama-cpp-python", "llama-server")
    json.dumps(library)
