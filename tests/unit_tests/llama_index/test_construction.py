"""What the constructor makes of the words of the original, before anything is started."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import warnings
from typing import TYPE_CHECKING, Any

import llama_cpp
import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager
from llama_index.core.types import PydanticProgramMode
from pydantic import ValidationError

from safe_llm import Limits, MisuseError
from safe_llm.engines.spec import LlamaServerSpec
from safe_llm.llama_index import LlamaCPP
from safe_llm.parameters.request import CHAT, TEXT
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = ("temperature", "max_tokens")
MODEL = "/nowhere/model.gguf"


def llama(**fields: Any) -> LlamaCPP:
    return LlamaCPP(**{"model_path": MODEL, "engine": "llama-server", **fields})


def reason(**fields: Any) -> str:
    with pytest.raises(MisuseError) as caught:
        llama(**fields)
    return str(caught.value)


def parameters(llm: LlamaCPP) -> dict[str, Any]:
    spec = llm._engine_spec()
    assert isinstance(spec, LlamaServerSpec)
    return dict(spec.parameters)


def library_parameters(**fields: Any) -> Any:
    return llama(engine="llama-cpp-python", **fields)._engine_spec().plain()["engine"]


def body(llm: LlamaCPP, **call: Any) -> dict[str, Any]:
    return dict(llm._request(TEXT, call).body)


def to_prompt(messages: Any) -> str:
    return f"<{messages[-1].content}>"


def test_an_object_is_made_without_a_model_file_and_takes_no_lease() -> None:
    assert llama().client._held == {}


def test_every_field_of_the_original_may_be_given_as_its_documentation_does() -> None:
    llm = llama(
        model_url="http://example.org/model.gguf",
        temperature=0.1,
        max_new_tokens=256,
        context_window=3900,
        callback_manager=None,
        generate_kwargs={},
        model_kwargs={"n_gpu_layers": -1},
        verbose=True,
        system_prompt="Be kind.",
        messages_to_prompt=to_prompt,
        completion_to_prompt=str.upper,
        pydantic_program_mode=PydanticProgramMode.DEFAULT,
        output_parser=None,
    )
    assert llm.model_path == MODEL
    assert isinstance(llm.callback_manager, CallbackManager)
    assert parameters(llm) == {"n_ctx": 15600, "n_gpu_layers": -1, "n_parallel": 4}
    assert body(llm) == {"temperature": 0.1, "n_predict": 256}


@pytest.mark.parametrize("engine", ["llama-server", "llama-cpp-python"])
def test_every_parameter_of_the_library_is_understood(engine: str) -> None:
    """With the library's own defaults nothing is asked for that could not be had, or warned of."""
    taken = inspect.signature(llama_cpp.Llama.__init__).parameters
    given = {name: one.default for name, one in taken.items() if one.default is not one.empty}
    assert given["n_ctx"] == 512
    llm = llama(engine=engine, model_kwargs=given)
    assert llm._engine_spec().plain()["engine"]["n_ctx"] in {512, 4 * 512}


def test_every_parameter_of_a_completion_is_understood() -> None:
    names = list(inspect.signature(llama_cpp.Llama.create_completion).parameters)[2:]
    assert "mirostat_tau" in names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what means nothing any more
        made = llama(generate_kwargs=dict.fromkeys(name for name in names if name not in FIELDS))
    assert body(made) == {"temperature": 0.1, "n_predict": 256}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"temprature": 1}, "LlamaCPP has no parameter 'temprature'\nhint: instead of"),
        ({"model_kwargs": {"n_gpu_layer": 1}}, "instead of 'n_gpu_layer' you probably meant 'n_gp"),
        ({"generate_kwargs": {"top_pp": 1}}, "generate_kwargs of LlamaCPP has no parameter 'top_"),
        ({"generate_kwargs": {"top_p": 2}}, "top_p=2 is not a number from 0 to 1"),
        ({"generate_kwargs": {"logits_processor": []}}, "cannot be called from inside"),
        ({"temperature": 1, "generate_kwargs": {"temperature": 2}}, "temperature is given twice"),
        ({"top_p": 0.1, "generate_kwargs": {"top_p": 0.2}}, "top_p is given twice: 0.2 and 0.1"),
        ({"model_path": None}, "LlamaCPP has neither model_path nor base_url"),
        ({"base_url": "http://localhost:1", "context_window": 0}, "context_window=0 is that of"),
        ({"engine": "llama-cpp-python", "chat_template": "x"}, "llama-cpp-python has no chat_tem"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_starts(
    fields: dict[str, Any], text: str
) -> None:
    assert text in reason(**fields)


def test_a_temperature_above_one_is_one_that_llama_cpp_knows() -> None:
    assert body(llama(temperature=1.7))["temperature"] == 1.7
    with pytest.raises(ValidationError, match="temperature"):
        llama(temperature=-0.1)


def test_a_word_of_a_call_counts_wherever_it_stands() -> None:
    wanted = {"temperature": 0.1, "n_predict": 256, "top_p": 0.5}
    assert body(llama(generate_kwargs={"top_p": 0.5})) == wanted
    assert body(llama(model_kwargs={"top_p": 0.5})) == wanted
    assert body(llama(top_p=0.5)) == wanted
    assert body(llama(model_kwargs={"seed": 7}))["seed"] == 7


def test_generate_kwargs_may_say_what_has_a_field_of_its_own() -> None:
    """The original takes the field's default instead, without a word."""
    llm = llama(generate_kwargs={"max_tokens": 5, "temperature": 0.9})
    assert body(llm) == {"temperature": 0.9, "n_predict": 5}
    assert llm.metadata.num_output == 5


def test_what_a_call_says_goes_before_what_the_object_says() -> None:
    llm = llama(generate_kwargs={"top_p": 0.5, "stop": ["a"]})
    said = body(llm, max_tokens=3, top_p=0.9, stop=["b"], seed=1)
    assert said == {
        "temperature": 0.1,
        "n_predict": 3,
        "top_p": 0.9,
        "stop": ["a", "b"],
        "seed": 1,
    }
    assert llm._request(TEXT, {"timeout": 3}).limits.call == 3
    assert llm._request(CHAT, {"limits": Limits(gap=1)}).limits.gap == 1


def test_a_misspelt_word_of_a_call_is_refused_by_name() -> None:
    with pytest.raises(MisuseError, match="'max_token'"):
        body(llama(), max_token=3)


def test_the_context_of_the_library_is_as_wide_as_the_original_makes_it() -> None:
    assert library_parameters() == {"n_ctx": 3900}
    assert library_parameters(context_window=0) == {"n_ctx": 0}
    assert parameters(llama(context_window=100, model_kwargs={"n_ctx": 200}))["n_ctx"] == 800


def test_model_kwargs_count_for_more_than_the_fields_as_in_the_original() -> None:
    assert not llama(verbose=True, model_kwargs={"verbose": False}).verbose
    assert library_parameters(context_window=100, model_kwargs={"n_ctx": 200}) == {"n_ctx": 200}


def test_what_a_chat_of_the_model_needs_goes_to_the_engine() -> None:
    llm = llama(mmproj="/nowhere/mmproj.gguf", model_kwargs={"chat_format": "chatml"})
    assert parameters(llm)["mmproj"] == "/nowhere/mmproj.gguf"
    assert parameters(llm)["chat_template"] == "chatml"


def test_what_means_nothing_any_more_warns_at_the_line_of_the_user() -> None:
    for fields in ({"model_kwargs": {"n_gqa": 8}}, {"generate_kwargs": {"tfs_z": 0.5}}):
        with pytest.warns(UserWarning, match="no longer means anything") as caught:
            LlamaCPP(model_path=MODEL, engine="llama-server", **fields)
        assert [one.filename for one in caught] == [__file__]


# -- the model


def test_what_llama_index_plans_with_is_known_without_a_start(tmp_path: Path) -> None:
    model = str(tiny_gguf(tmp_path, ctx=2048))
    known = llama(model_path=model, max_new_tokens=7).metadata
    assert (known.context_window, known.num_output, known.model_name) == (2048, 7, model)
    assert (known.is_chat_model, known.is_function_calling_model) == (True, True)
    assert llama(model_path=model, context_window=512).metadata.context_window == 512
    assert llama(model_path=model, context_window=0).metadata.context_window == 2048
    assert llama().metadata.context_window == 3900


@pytest.mark.parametrize(
    ("prompts", "chats", "calls"),
    [
        ({}, True, True),
        ({"messages_to_prompt": to_prompt}, True, False),
        ({"messages_to_prompt": to_prompt, "completion_to_prompt": str.upper}, True, False),
        ({"completion_to_prompt": str.upper}, False, True),
    ],
)
def test_who_brings_prompts_of_his_own_gets_them(
    prompts: dict[str, Any], *, chats: bool, calls: bool
) -> None:
    known = llama(**prompts).metadata
    assert (known.is_chat_model, known.is_function_calling_model) == (chats, calls)


def test_a_model_is_taken_from_the_cache_of_llama_index_and_never_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_INDEX_CACHE_DIR", str(tmp_path))
    url = "http://localhost:1/far/away.gguf"
    path = tmp_path / "models" / "away.gguf"
    assert f"--output '{path}' '{url}'" in reason(model_path=None, model_url=url)
    path.parent.mkdir()
    path.touch()
    assert llama(model_path=None, model_url=url).model_path == str(path)


# -- copies


def test_two_objects_share_nothing_that_can_change() -> None:
    given: dict[str, Any] = {"generate_kwargs": {"stop": ["x"]}, "model_kwargs": {"n_ctx": 5}}
    kept = copy.deepcopy(given)
    one, other = llama(**given), llama(**given)
    assert given == kept
    assert one.generate_kwargs is not other.generate_kwargs
    assert one.generate_kwargs is not given["generate_kwargs"]
    assert llama().generate_kwargs is not llama().generate_kwargs


def test_the_key_is_in_nothing_that_is_written_down() -> None:
    llm = llama(api_key="s3cret", base_url="http://localhost:1")
    shown = [repr(llm), str(llm), llm.to_json(), repr(llm.to_dict()), repr(llm.to_payload())]
    assert not [text for text in shown if "s3cret" in text]
    assert pickle.loads(pickle.dumps(llm)).api_key.get_secret_value() == "s3cret"


def test_what_was_written_down_makes_the_same_object_again() -> None:
    llm = llama(
        limits=Limits(gap=3),
        generate_kwargs={"top_p": 0.5},
        model_kwargs={"n_ubatch": 64},
        server_args=["--keep", "4"],
        max_new_tokens=9,
    )
    written = llm.to_dict()
    assert written["class_name"] == LlamaCPP.class_name() == "LlamaCPP_llm"
    copies = [
        LlamaCPP.from_dict(written),
        LlamaCPP.from_json(json.dumps(written)),
        pickle.loads(pickle.dumps(llm)),
        copy.deepcopy(llm),
        llm.model_copy(),
    ]
    for made in copies:
        assert made._engine_spec() == llm._engine_spec()
        assert (made.limits, body(made)) == (llm.limits, body(llm))


def test_a_prompt_that_cannot_be_pickled_is_not_left_behind_in_silence() -> None:
    llm = llama(messages_to_prompt=lambda messages: f"{messages}!")
    with pytest.raises(MisuseError, match="messages_to_prompt cannot be pickled"):
        pickle.dumps(llm)
    kept = pickle.loads(pickle.dumps(llama(messages_to_prompt=to_prompt)))
    assert kept.messages_to_prompt([ChatMessage("hi")]) == "<hi>"
