from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from langchain_core.load import dumpd
from langchain_core.runnables import ConfigurableField
from pydantic import ValidationError

from safe_llm import MisuseError
from safe_llm.engines.spec import LlamaServerSpec
from safe_llm.langchain import LlamaCpp
from safe_llm.limits import Limits

MODEL = "/nowhere/model.gguf"


def llama(**fields: Any) -> LlamaCpp:
    return LlamaCpp(**{"model_path": MODEL, **fields})


def configured(llm: LlamaCpp) -> LlamaCpp:
    """The copy that a call of configurable fields is made on."""
    fields: Any = llm.configurable_fields(temperature=ConfigurableField(id="warmth"))
    copied, _ = fields.with_config(configurable={"warmth": 0.2}).prepare()
    assert isinstance(copied, LlamaCpp)
    return copied


def reason(**fields: Any) -> str:
    with pytest.raises(MisuseError) as caught:
        llama(**fields)
    return str(caught.value)


def test_an_object_is_made_without_a_model_file_and_takes_no_lease() -> None:
    assert llama().client._held == {}


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("n_ctxx", "n_ctx"),
        ("temprature", "temperature"),
        ("max_token", "max_tokens"),
        ("grammer", "grammar"),
        ("server_bin", "server_binary"),
        ("flash_atn", "flash_attn"),
        ("mirostat_tao", "mirostat_tau"),
    ],
)
def test_a_misspelt_parameter_is_an_error_that_names_the_nearest(wrong: str, right: str) -> None:
    text = f"LlamaCpp has no parameter {wrong!r}\nhint: instead of {wrong!r} you probably meant"
    assert reason(**{wrong: 1}) == f"{text} {right!r}"
    assert reason(model_kwargs={wrong: 1}) == f"{text} {right!r}"


def test_a_name_that_resembles_nothing_is_an_error_that_lists_what_there_is() -> None:
    assert "nothing is spelt like 'xyzzy'; known are " in reason(xyzzy=1)
    assert "n_ctx" in reason(xyzzy=1)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"timeout": -1}, "timeout=-1.0 is not a non-negative, finite number of seconds"),
        ({"idle_timeout": float("inf")}, "idle_timeout=inf is not a non-negative, finite"),
        ({"temperature": -0.5}, "temperature=-0.5 is not a number from 0"),
        ({"temperature": float("nan")}, "temperature=nan is not a number from 0"),
        ({"top_p": 1.5}, "top_p=1.5 is not a number from 0 to 1"),
        ({"repeat_penalty": 0}, "repeat_penalty=0.0 is not a number above 0"),
        ({"last_n_tokens_size": -2}, "last_n_tokens_size=-2 is not a whole number from -1"),
        ({"logprobs": -1}, "logprobs=-1 is not a whole number from 0"),
        ({"seed": 2**32}, "seed=4294967296 is not a whole number from -1 to"),
        ({"stop": [""]}, "stop=[''] holds something that is not a non-empty string"),
        ({"min_p": "a lot"}, "min_p='a lot' is not a number from 0 to 1"),
        ({"grammar": "root", "grammar_path": "x.gbnf"}, "both grammar and grammar_path='x.gbnf'"),
        ({"grammar": 3}, "grammar is a int, which holds no GBNF text"),
        ({"engine": "llama-cpp"}, "engine='llama-cpp' is not known\nhint: there are 'auto', 'll"),
        ({"model_path": ""}, "LlamaCpp has neither model_path nor base_url"),
        ({"n_ctx": 1, "model_kwargs": {"n_ctx": 2}}, "n_ctx is given twice"),
        ({"server_args": ["--port", "80"]}, "server_args contains --port, which"),
        ({"type_k": 99}, "type_k=99 is no value of llama.cpp's enum"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_starts(
    fields: dict[str, Any], text: str
) -> None:
    assert reason(**fields).startswith(text)


def test_a_value_of_the_wrong_type_is_pydantics_error_as_in_the_original() -> None:
    with pytest.raises(ValidationError, match="n_ctx"):
        llama(n_ctx="many")


def test_a_path_is_as_good_as_its_text() -> None:
    assert llama(model_path=Path(MODEL)).model_path == MODEL


def test_two_ways_to_write_a_path_mean_one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    relative = llama(model_path="nowhere/model.gguf")
    assert relative._engine_spec() == llama()._engine_spec()


@pytest.mark.parametrize(
    "fields",
    [
        {"use_mlock": False, "use_mmap": True, "f16_kv": True},
        {"numa": False, "offload_kqv": True},
        {"temperature": 0.1, "stop": ["x"], "timeout": 3.0},
    ],
)
def test_saying_what_happens_anyway_asks_for_the_same_engine(fields: dict[str, Any]) -> None:
    assert llama(**fields)._engine_spec() == llama()._engine_spec()


def test_the_key_is_neither_in_the_text_of_the_object_nor_in_its_serialisation() -> None:
    llm = llama(api_key="s3cret", base_url="http://localhost:1")
    shown = [repr(llm), str(llm), json.dumps(dumpd(llm)), repr(llm._engine_spec())]
    shown.append(json.dumps(dict(llm._identifying_params)))
    assert not [text for text in shown if "s3cret" in text]
    spec = llm._engine_spec()
    assert isinstance(spec, LlamaServerSpec)
    assert spec.api_key == "s3cret"


def test_it_calls_itself_as_the_original_does_and_is_identified_by_what_answers_depend_on() -> None:
    llm = llama(n_ctx=512, lora_path="/l.gguf", seed=3, stop=["x"], server_args=("--keep", "4"))
    known = llm._identifying_params
    assert llm._llm_type == "llamacpp"
    assert known["model_path"] == MODEL
    assert known["engine"] == {"lora_path": "/l.gguf", "n_ctx": 2048, "n_parallel": 4}
    assert known["server_args"] == ["--keep", "4"]
    assert known["request"]["seed"] == 3
    assert known["stop_sequences"] == ["x"]


def test_its_namespace_is_its_module_and_it_serialises_as_the_original_did() -> None:
    assert LlamaCpp.get_lc_namespace() == ["safe_llm", "langchain", "llms"]
    assert dumpd(llama())["type"] == "not_implemented"
    assert not LlamaCpp.is_lc_serializable()


def test_its_parameters_can_be_saved_to_a_file(tmp_path: Path) -> None:
    llama(tensor_split=[0.5, 0.5], grammar_path=Path("x.gbnf")).save(tmp_path / "llm.json")
    saved = json.loads((tmp_path / "llm.json").read_text())
    assert saved["_type"] == "llamacpp"
    assert saved["engine"] == {"tensor_split": ["0.5", "0.5"]}


def test_the_versions_in_a_trace_name_this_package() -> None:
    metadata = llama(metadata={"mine": 1}).metadata
    assert metadata is not None
    assert {"langchain-core", "safe-llm"} <= set(metadata["lc_versions"])
    assert metadata["mine"] == 1


def test_a_copy_that_configurable_fields_makes_sends_no_default_as_if_it_were_chosen() -> None:
    llm = llama(n_parallel=2)
    copied = configured(llm)
    assert copied.temperature == 0.2
    assert copied._engine_spec() == llm._engine_spec()
    assert copied.client is llm.client


def test_a_copy_that_configurable_fields_makes_does_not_warn_again() -> None:
    with pytest.warns(UserWarning, match="n_parts"):
        llm = llama(n_parts=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        configured(llm)


def test_an_observer_is_told_whatever_verbose_says() -> None:
    heard: list[object] = []
    settings = llama(observers=(heard.append,), verbose=False)._settings()
    assert settings.observers == (heard.append,)


def test_how_the_engine_is_looked_after_reaches_it() -> None:
    limits = Limits(gap=7.0)
    settings = llama(limits=limits, timeout=9, idle_timeout=5, max_engines=2)._settings()
    assert settings.limits == limits.with_changes(call=9)
    assert (settings.idle_timeout, settings.max_engines) == (5, 2)


def test_an_object_that_connects_wants_the_same_server_whatever_else_it_says() -> None:
    one = LlamaCpp(base_url="http://localhost:1", n_ctx=512)
    other = LlamaCpp(base_url="http://localhost:1", use_mlock=True)
    assert one._engine_spec() == other._engine_spec()
