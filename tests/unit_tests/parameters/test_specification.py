from __future__ import annotations

from typing import Any

import pytest

from safe_llm.engines.llama_server_flags import FLAGS
from safe_llm.engines.spec import LlamaServerSpec
from safe_llm.langchain import LlamaCpp
from safe_llm.parameters.destinations import ToEngine
from safe_llm.parameters.llama_parameters import ENGINE_NAMES, LLAMA
from safe_llm.parameters.original import ORIGINAL

BY_ARGUMENT = {"kv_overrides", "lora_scale"}  # no rows of the engine's table: see the tests below


def wanted_server(**fields: Any) -> LlamaServerSpec:
    llm = LlamaCpp(engine="llama-server", model_path="/nowhere/m.gguf", **fields)
    spec = llm._engine_spec()
    assert isinstance(spec, LlamaServerSpec)
    return spec


def parameters(**fields: Any) -> dict[str, Any]:
    return dict(wanted_server(**fields).parameters)


@pytest.mark.parametrize("name", sorted({*ORIGINAL, *LLAMA} - BY_ARGUMENT))
def test_every_parameter_of_the_engine_has_a_flag(name: str) -> None:
    goes = {**ORIGINAL, **LLAMA}[name]
    assert not isinstance(goes, ToEngine) or set(goes.names) <= set(FLAGS)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"n_ubatch": 64, "n_threads_batch": 2}, {"n_ubatch": 64, "n_threads_batch": 2}),
        ({"flash_attn": True}, {"flash_attn": True}),
        ({"type_k": 8, "type_v": "q4_0"}, {"cache_type_k": "q8_0", "cache_type_v": "q4_0"}),
        ({"split_mode": 2, "main_gpu": 1}, {"split_mode": "row", "main_gpu": 1}),
        ({"tensor_split": [0.7, 0.3]}, {"tensor_split": ("0.7", "0.3")}),
        ({"numa": True}, {"numa": "distribute"}),
        ({"numa": 2}, {"numa": "isolate"}),
        ({"offload_kqv": False, "op_offload": False}, {"offload_kqv": False, "op_offload": False}),
        ({"rope_scaling_type": 2}, {"rope_scaling": "yarn"}),
        ({"rope_scaling_type": -1}, {}),
        ({"yarn_orig_ctx": 4096}, {"yarn_orig_ctx": 4096}),
        ({"swa_full": True}, {"swa_full": True}),
        ({"lora_path": "a.gguf", "lora_scale": 0.5}, {"lora_scaled": "a.gguf:0.5"}),
        ({"cache_ram_mib": 100}, {"cache_ram_mib": 100}),
    ],
)
def test_a_further_parameter_of_llama_cpp_reaches_the_engine_named_or_in_model_kwargs(
    fields: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert parameters(**fields) == wanted
    assert parameters(model_kwargs=fields) == wanted


def test_key_value_overrides_become_arguments() -> None:
    overrides = {"a.b": True, "c": 3, "d": 1.5, "e": "text"}
    spec = wanted_server(model_kwargs={"kv_overrides": overrides}, server_args=["-v"])
    texts = ("a.b=bool:true", "c=int:3", "d=float:1.5", "e=str:text")
    assert spec.server_args == ("-v", *(part for one in texts for part in ("--override-kv", one)))
    assert spec.parameters == ()


@pytest.mark.parametrize(
    "name", ["chat_format", "draft_model", "tokenizer", "spm_infill", "pooling_type", "n_gqa"]
)
def test_a_further_parameter_that_means_nothing_here_warns_by_name(name: str) -> None:
    with pytest.warns(UserWarning, match=f"^{name} no longer means anything: "):
        assert parameters(model_kwargs={name: 7}) == {}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"n_ctx": 512}, {"n_ctx": 2048, "n_parallel": 4}),
        ({"n_ctx": 512, "n_parallel": 1}, {"n_ctx": 512, "n_parallel": 1}),
        ({"n_ctx": 512, "n_parallel": 8}, {"n_ctx": 4096, "n_parallel": 8}),
        ({"n_ctx": 0}, {"n_ctx": 0}),
        ({"n_parallel": 8}, {"n_parallel": 8, "kv_unified": True}),
        ({"n_parallel": 1}, {"n_parallel": 1}),
        ({"n_ctx": 512, "kv_unified": True}, {"n_ctx": 512, "kv_unified": True}),
        ({"n_ctx": 512, "server_args": ["-np", "2"]}, {"n_ctx": 512}),
    ],
)
def test_n_ctx_is_the_context_of_each_call_however_many_run_at_once(
    fields: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert parameters(**fields) == wanted


@pytest.mark.parametrize("name", ["host", "port", "model", "embedding", "verbosity", "slots"])
def test_what_the_engine_decides_itself_cannot_be_said(name: str) -> None:
    assert name not in ENGINE_NAMES


def test_the_program_and_its_arguments_reach_the_engine() -> None:
    spec = wanted_server(server_binary="/opt/llama-server", server_args=["-v"])
    assert spec.binary == "/opt/llama-server"
    assert spec.server_args == ("-v",)
