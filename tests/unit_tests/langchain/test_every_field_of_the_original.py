"""A table over every constructor field of the original: what each does here, seen from outside."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler

from safe_llm.engines.llama_server_flags import flags_for, parse_help
from safe_llm.engines.spec import LlamaServerSpec
from safe_llm.events import LineWritten
from safe_llm.langchain import LlamaCpp
from safe_llm.parameters.original import ORIGINAL
from safe_llm.worker.llama_server_argv import render_help
from tests.originals import LLAMA_CPP
from tests.unit_tests.langchain.scripted_engine import ScriptedEngine, ScriptedLeases

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL = "/nowhere/model.gguf"
GRAMMAR = 'root ::= "yes" | "no"'


@dataclass
class OfTheOriginal:
    """A constructor field: its default there, and a value that asks for something else."""

    default: Any
    value: Any


VALUES: Mapping[str, Any] = {
    "client": "anything",
    "model_path": MODEL,
    "lora_base": "/nowhere/base.gguf",
    "lora_path": "/nowhere/lora.gguf",
    "n_ctx": 1024,
    "n_parts": 2,
    "seed": 42,
    "f16_kv": False,
    "logits_all": True,
    "vocab_only": True,
    "use_mlock": True,
    "n_threads": 3,
    "n_batch": 256,
    "n_gpu_layers": 7,
    "suffix": " <end>",
    "max_tokens": 17,
    "temperature": 0.1,
    "top_p": 0.5,
    "logprobs": 3,
    "echo": True,
    "stop": ["###"],
    "repeat_penalty": 1.3,
    "top_k": 5,
    "last_n_tokens_size": 12,
    "use_mmap": False,
    "rope_freq_scale": 0.5,
    "rope_freq_base": 500000.0,
    "model_kwargs": {"n_ubatch": 64, "min_p": 0.2},
    "streaming": False,
    "grammar_path": "grammar.gbnf",
    "grammar": GRAMMAR,
    "verbose": False,
}
"""Values that ask for something else than the defaults do."""

FIELDS = {name: OfTheOriginal(LLAMA_CPP[name], value) for name, value in VALUES.items()}

# Sent only when they are given: the original's defaults overrode what the model file says.
SENT_WHEN_GIVEN = {"n_ctx", "n_batch", "rope_freq_base", "rope_freq_scale"}

ARGUMENTS = {
    "lora_path": ["--lora", "/nowhere/lora.gguf"],
    "n_ctx": ["--ctx-size", "4096", "--parallel", "4"],  # for each of the four calls at a time
    "f16_kv": ["--cache-type-k", "f32", "--cache-type-v", "f32"],
    "use_mlock": ["--load-mode", "mmap+mlock"],
    "n_threads": ["--threads", "3"],
    "n_batch": ["--batch-size", "256"],
    "n_gpu_layers": ["--n-gpu-layers", "7"],
    "use_mmap": ["--load-mode", "none"],
    "rope_freq_scale": ["--rope-freq-scale", "0.5"],
    "rope_freq_base": ["--rope-freq-base", "500000.0"],
    "model_kwargs": ["--ubatch-size", "64"],
}
BODIES: dict[str, dict[str, Any]] = {
    "seed": {"seed": 42},
    "max_tokens": {"n_predict": 17},
    "temperature": {"temperature": 0.1},
    "top_p": {"top_p": 0.5},
    "logprobs": {"n_probs": 3},
    "stop": {"stop": ["###"]},
    "repeat_penalty": {"repeat_penalty": 1.3},
    "top_k": {"top_k": 5},
    "last_n_tokens_size": {"repeat_last_n": 12},
    "model_kwargs": {"min_p": 0.2},
    "grammar": {"grammar": GRAMMAR},
    "grammar_path": {"grammar": GRAMMAR},
}
WARNINGS = {"client", "lora_base", "n_parts", "logits_all", "vocab_only"}
ANSWERS = {"suffix": "HI <end>", "echo": "hiHI"}
SHOWN_BELOW = {"model_path", "streaming", "verbose"}


def arguments(llm: LlamaCpp) -> list[str]:
    """The flags with which the llama-server of the wheel would be started."""
    spec = llm._engine_spec()
    assert isinstance(spec, LlamaServerSpec)
    return flags_for(dict(spec.parameters), parse_help(render_help()))


def body(llm: LlamaCpp) -> dict[str, Any]:
    """The request body that a call sends."""
    engine = ScriptedEngine()
    llm.client = ScriptedLeases(engine)
    llm.invoke("hi")
    return engine.bodies[0]


@pytest.fixture
def grammar_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "grammar.gbnf"
    path.write_text(GRAMMAR)
    return path


def with_field(name: str) -> LlamaCpp:
    return LlamaCpp(**{"model_path": MODEL, name: FIELDS[name].value})


def test_the_table_of_destinations_has_exactly_the_fields_of_the_original() -> None:
    assert set(FIELDS) == set(LLAMA_CPP)
    assert set(ORIGINAL) == {*FIELDS, "device"}  # which only the original embeddings have


def test_every_field_of_the_original_has_an_effect_that_a_test_sees() -> None:
    seen = {*ARGUMENTS, *BODIES, *WARNINGS, *ANSWERS, *SHOWN_BELOW}
    assert seen == set(FIELDS)


@pytest.mark.parametrize("name", sorted(set(FIELDS) - WARNINGS))
def test_a_field_of_the_original_is_accepted_without_a_word(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert getattr(with_field(name), name) == FIELDS[name].value or name == "model_kwargs"


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_a_parameter_of_the_engine_becomes_a_flag(name: str) -> None:
    assert arguments(with_field(name)) == ARGUMENTS[name]


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_parameter_of_the_call_becomes_a_field_of_the_request(
    name: str, grammar_file: Path
) -> None:
    sent = body(with_field(name))
    assert {key: sent.get(key) for key in BODIES[name]} == BODIES[name]


@pytest.mark.parametrize("name", sorted(WARNINGS))
def test_a_parameter_that_no_longer_means_anything_warns_by_name(name: str) -> None:
    with pytest.warns(UserWarning, match=f"^{name} no longer means anything: ") as caught:
        llm = with_field(name)
    assert [Path(one.filename).name for one in caught] == [Path(__file__).name]
    assert arguments(llm) == []


@pytest.mark.parametrize("name", sorted(WARNINGS))
def test_its_default_asks_for_nothing_and_warns_of_nothing(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LlamaCpp(**{"model_path": MODEL, name: FIELDS[name].default})


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_a_parameter_of_the_answer_changes_the_answer(name: str) -> None:
    llm = with_field(name)
    llm.client = ScriptedLeases(ScriptedEngine())
    assert llm.invoke("hi") == ANSWERS[name]
    assert "".join(llm.stream("hi")) == ANSWERS[name]


def test_model_path_says_which_model_the_engine_loads() -> None:
    assert LlamaCpp(model_path=MODEL)._engine_spec().model_path == MODEL


@pytest.mark.parametrize("streaming", [True, False])
def test_streaming_says_whether_callbacks_get_tokens_during_invoke(streaming: bool) -> None:
    heard: list[str] = []

    class Listener(BaseCallbackHandler):
        def on_llm_new_token(self, token: Any, **_: Any) -> None:
            heard.append(token)

    llm = LlamaCpp(model_path=MODEL, streaming=streaming)
    llm.client = ScriptedLeases(ScriptedEngine())
    assert llm.invoke("abc", {"callbacks": [Listener()]}) == "ABC"
    assert heard == (["A", "B", "C", ""] if streaming else [])


def test_verbose_says_whether_the_lines_of_the_engine_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = LineWritten(source="engine", stream="stderr", text="loaded", level=logging.WARNING)
    for verbose in (True, False):
        for observer in LlamaCpp(model_path=MODEL, verbose=verbose)._settings().observers:
            observer(line)
    assert [record.getMessage() for record in caplog.records] == ["loaded"]


def test_a_plain_object_says_to_the_engine_only_what_the_original_said_in_its_requests() -> None:
    llm = LlamaCpp(model_path=MODEL)
    assert arguments(llm) == []
    assert body(llm) == {
        "prompt": "hi",
        "n_predict": 256,
        "temperature": 0.8,
        "top_p": 0.95,
        "top_k": 40,
        "repeat_penalty": 1.1,
        "repeat_last_n": 64,
    }


@pytest.mark.parametrize("name", sorted(set(FIELDS) - SENT_WHEN_GIVEN - {"model_path"}))
def test_a_default_is_the_default_of_the_original(name: str) -> None:
    field = LlamaCpp.model_fields[name]
    assert field.get_default(call_default_factory=True) == FIELDS[name].default


@pytest.mark.parametrize("name", sorted(SENT_WHEN_GIVEN))
def test_what_the_model_file_knows_better_is_sent_when_it_is_given_as_it_was_by_default(
    name: str,
) -> None:
    assert getattr(LlamaCpp(model_path=MODEL), name) is None
    given = arguments(LlamaCpp(**{"model_path": MODEL, name: FIELDS[name].default}))
    assert given[0] == ARGUMENTS[name][0]
