from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from safe_llm import MisuseError
from safe_llm.limits import Limits
from safe_llm.parameters.body import FIELDS
from safe_llm.parameters.request import CALL, REFUSED, Request, build_request

if TYPE_CHECKING:
    from pathlib import Path

VALUES: dict[str, Any] = {
    "dry_sequence_breakers": ["\n"],
    "samplers": ["top_k"],
    "logit_bias": [[5, -1.0]],
    "json_schema": {"type": "object"},
    "grammar": 'root ::= "a"',
    "lora": [{"id": 0, "scale": 0.5}],
    "ignore_eos": True,
    "post_sampling_probs": True,
    "cache_prompt": False,
    "return_tokens": True,
    "timings_per_token": True,
}


def request(
    defaults: dict[str, Any] | None = None, call: dict[str, Any] | None = None, **more: Any
) -> Request:
    return build_request(defaults or {}, call or {}, **{"stops": [], "limits": Limits(), **more})


@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"stop"}))
def test_every_field_of_llama_servers_completion_can_be_said_in_a_call(name: str) -> None:
    value = VALUES.get(name, 1)
    assert request(call={name: value}).body == {name: value}


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ({"max_tokens": None}, {"n_predict": -1}),
        ({"max_tokens": 0}, {"n_predict": -1}),
        ({"max_tokens": -1}, {"n_predict": -1}),
        ({"seed": -1}, {"seed": -1}),
        ({"mirostat_mode": 2}, {"mirostat": 2}),
        ({"logit_bias": {5: 1.5}}, {"logit_bias": [[5, 1.5]]}),
        ({"logprobs": 0}, {"n_probs": 1}),
        ({"logprobs": None}, {}),
        ({"n_probs": 0}, {}),
        ({"temperature": None}, {}),
        ({"last_n_tokens_size": 9}, {"repeat_last_n": 9}),
    ],
)
def test_the_words_of_llama_cpp_python_become_those_of_llama_server(
    call: dict[str, Any], body: dict[str, Any]
) -> None:
    assert request(call=call).body == body


def test_what_a_call_says_wins_over_what_the_object_says_in_other_words() -> None:
    defaults = {"n_predict": 256, "logprobs": 5, "grammar": "root"}
    asked = request(defaults, {"max_tokens": 3, "n_probs": 0, "json_schema": {}})
    assert asked.body == {"n_predict": 3, "json_schema": {}}


def test_a_call_can_lift_the_grammar_of_the_object() -> None:
    assert request({"grammar": "root"}, {"grammar": None}).body == {}


def test_a_grammar_may_be_text_an_object_that_holds_it_or_a_file(tmp_path: Path) -> None:
    class LlamaGrammar:
        _grammar = "root ::= [a-z]"

    path = tmp_path / "letters.gbnf"
    path.write_text("root ::= [a-z]")
    for one in ({"grammar": "root ::= [a-z]"}, {"grammar": LlamaGrammar()}, {"grammar_path": path}):
        assert request(call=one).body == {"grammar": "root ::= [a-z]"}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ({"grammar": "a", "grammar_path": "b"}, "both grammar and grammar_path='b' were given"),
        ({"grammar": "a", "json_schema": {}}, "both a grammar and json_schema were given"),
        ({"grammar_path": "/nowhere/x.gbnf"}, "cannot read grammar_path '/nowhere/x.gbnf': "),
        ({"temprature": 1}, "a call of LlamaCpp has no parameter 'temprature'\nhint: instead of"),
        ({"top_k": 1.5}, "top_k=1.5 is not a whole number"),
        ({"min_p": True}, "min_p=True is not a number from 0 to 1"),
        ({"max_tokens": "many"}, "max_tokens='many' is not a whole number from -1"),
        ({"json_schema": "{}"}, "json_schema='{}' is not dict"),
        ({"timeout": -3}, "timeout=-3 is not a non-negative, finite number of seconds"),
        ({"timeout": "soon"}, "timeout='soon' is not a non-negative, finite number of seconds"),
        ({"limits": 3}, "limits=3 is not a Limits"),
        *(({name: object()}, f"{name} cannot be given to a call") for name in sorted(REFUSED)),
    ],
)
def test_what_a_call_cannot_mean_is_refused(call: dict[str, Any], text: str) -> None:
    with pytest.raises(MisuseError) as caught:
        request(call=call)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("name", ["tfs_z", "model", "stream"])
def test_what_means_nothing_in_a_call_warns_by_name(name: str) -> None:
    with pytest.warns(UserWarning, match=f"^{name} no longer means anything: "):
        assert request(call={name: 0.5}).body == {}


def test_stop_strings_of_the_object_and_of_the_call_are_joined_each_once() -> None:
    asked = request(stops=[["a", "b"], None, "c", ["b", "d"]])
    assert asked.body == {"stop": ["a", "b", "c", "d"]}


def test_a_timeout_bounds_the_whole_call_and_none_lifts_the_bound() -> None:
    own = Limits(call=5.0, gap=2.0)
    assert request(call={"timeout": 1}, limits=own).limits == Limits(call=1, gap=2.0)
    assert request(call={"timeout": None}, limits=own).limits == Limits(call=None, gap=2.0)
    assert request(call={"limits": Limits(gap=9.0), "timeout": 3}).limits == Limits(gap=9.0, call=3)
    assert request(limits=own).limits == own


def test_no_name_of_a_call_is_both_known_and_refused() -> None:
    assert not set(CALL) & set(REFUSED)
