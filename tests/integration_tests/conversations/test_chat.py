"""A conversation with a real instruction model: the same words for it on both engines."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.errors import CallTimeout, MisuseError, PromptTooLong, RemoteError
from tests.engine_kinds import LLAMA_CPP_PYTHON, becomes_idle
from tests.llama_engine import PATIENT, leased
from tests.models import smollm2_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safe_llm.engines.base import ChatAnswer
    from safe_llm.engines.lease import Lease
    from tests.engine_kinds import Kind

pytestmark = [pytest.mark.smollm2, pytest.mark.timeout(60)]  # 135 M parameters, on one thread

QUESTION = {"role": "user", "content": "What is the capital of France?"}
ASKED: dict[str, Any] = {"messages": [QUESTION], "temperature": 0, "max_tokens": 12}
ENDLESS = {"messages": [QUESTION], "max_tokens": 2000, "ignore_eos": True}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
CONTEXT = 2048
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Oslo", "Lima"]}},
            "required": ["city"],
        },
    },
}
NAMED = {"type": "function", "function": {"name": "weather"}}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}
SENSELESS = {"type": "function", "function": {"name": "x", "parameters": {"type": "nonsense"}}}
PICTURE = {
    "role": "user",
    "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
}


def format_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"schema": {"type": "string", **schema}}}


@pytest.fixture(scope="module")
def engine(kind: Kind, nothing_is_left: None) -> Iterator[Lease]:
    further: Any = {"logits_all": True} if kind is LLAMA_CPP_PYTHON else {}
    with leased(kind.spec(smollm2_path(), n_ctx=CONTEXT, **further)) as made:
        made.start(PATIENT)
        yield made


def ask(engine: Lease, **changes: Any) -> ChatAnswer:
    return engine.chat({**ASKED, **changes}, PATIENT)


def test_an_answer_is_a_message_with_its_reason_and_its_cost(engine: Lease) -> None:
    answer = ask(engine)
    assert answer.message["role"] == "assistant"
    assert answer.finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    assert answer.usage.prompt_tokens > 20  # the template brings more than the question has
    assert answer.timings["predicted_n"] == 12


def test_it_is_the_same_piece_by_piece_for_a_thread_and_for_a_task(engine: Lease) -> None:
    async def read() -> list[str]:
        stream = engine.stream_chat(ASKED, PATIENT)
        return [piece.delta.get("content") or "" async for piece in stream]

    pieces = list(engine.stream_chat(ASKED, PATIENT))
    texts = [piece.delta.get("content") or "" for piece in pieces]
    assert "".join(texts) == ask(engine).message["content"]
    assert len([one for one in texts if one]) > 3
    assert pieces[-1].finish_reason == "length"
    assert asyncio.run(read()) == texts


def test_a_stop_string_ends_it(engine: Lease) -> None:
    whole = ask(engine).message["content"]
    stopped = ask(engine, stop=[whole[5:8]])
    assert (stopped.message["content"], stopped.finish_reason) == (whole[:5], "stop")


def test_each_token_comes_with_its_probability(engine: Lease) -> None:
    answer = ask(engine, max_tokens=2, logprobs=True, top_logprobs=2)
    assert "".join(one["token"] for one in answer.logprobs) == answer.message["content"]
    assert [len(one["top_logprobs"]) for one in answer.logprobs] == [2, 2]


def test_a_schema_is_obeyed_whatever_the_model_would_say(engine: Lease) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    answer = ask(engine, response_format=wanted, max_tokens=60)
    said = json.loads(answer.message["content"])
    assert list(said) == ["n"]
    assert type(said["n"]) is int


def test_tools_may_be_offered(engine: Lease) -> None:
    alone = ask(engine).usage
    offered = ask(engine, tools=[WEATHER], tool_choice="auto").usage
    assert alone is not None
    assert offered is not None
    assert offered.prompt_tokens > alone.prompt_tokens + 50  # though its template knows none


def test_a_prompt_that_is_too_long_is_refused_with_both_counts(engine: Lease) -> None:
    with pytest.raises(PromptTooLong) as caught:
        ask(engine, messages=[{"role": "user", "content": "word " * 5000}])
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (5031, CONTEXT)


def test_a_message_that_is_none_is_refused_and_the_engine_lives(engine: Lease) -> None:
    pid = engine.status().pid
    with pytest.raises(RemoteError) as caught:
        ask(engine, messages=[{"role": "user"}])
    assert caught.value.status == 400
    assert ask(engine).finish_reason == "length"
    assert engine.status().pid == pid


def test_leaving_it_ends_its_work(engine: Lease) -> None:
    for piece in engine.stream_chat(ENDLESS, PATIENT):
        if piece.delta.get("content"):
            break
    assert becomes_idle(engine)


def test_a_limit_ends_it_and_its_work(engine: Lease) -> None:
    with pytest.raises(CallTimeout):
        engine.chat(ENDLESS, PATIENT.with_changes(total=0.3))
    assert becomes_idle(engine)


def test_a_task_that_is_cancelled_ends_its_work(engine: Lease) -> None:
    async def cancel() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.chat_async(ENDLESS, PATIENT), 0.3)

    asyncio.run(cancel())
    assert becomes_idle(engine)


@pytest.mark.parametrize("choice", ["required", "any", True, "weather", NAMED])
def test_who_must_call_a_tool_calls_it_with_arguments_of_its_schema(
    engine: Lease, choice: Any
) -> None:
    """The model's template knows no tools, and neither engine would force it to call one."""
    answer = ask(engine, tools=[WEATHER], tool_choice=choice, max_tokens=40)
    (call,) = answer.message["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"])["city"] in {"Oslo", "Lima"}
    assert call["id"]
    assert answer.message["content"] is None
    assert answer.finish_reason == "tool_calls"


def test_of_two_tools_the_one_that_is_named_is_called(engine: Lease) -> None:
    answer = ask(engine, tools=[WEATHER, ADD], tool_choice="add", max_tokens=60)
    (call,) = answer.message["tool_calls"]
    assert call["function"]["name"] == "add"
    assert set(json.loads(call["function"]["arguments"])) == {"a", "b"}


def test_several_calls_at_once_are_for_those_who_allow_them(engine: Lease) -> None:
    answer = ask(
        engine, tools=[WEATHER], tool_choice="any", parallel_tool_calls=True, max_tokens=60
    )
    assert {one["function"]["name"] for one in answer.message["tool_calls"]} == {"weather"}


def test_a_forced_call_comes_piece_by_piece(engine: Lease) -> None:
    asked = {**ASKED, "tools": [WEATHER], "tool_choice": "any", "max_tokens": 40}
    pieces = list(engine.stream_chat(asked, PATIENT))
    calls = [one for piece in pieces for one in piece.delta.get("tool_calls") or ()]
    assert [one["function"].get("name") for one in calls] == ["weather"] + [None] * (len(calls) - 1)
    assert len(calls) > 3
    assert json.loads("".join(one["function"]["arguments"] for one in calls))["city"]
    assert pieces[-1].finish_reason == "tool_calls"


def test_a_call_that_is_cut_off_has_ended_for_its_length(engine: Lease) -> None:
    answer = ask(engine, tools=[WEATHER], tool_choice="any", max_tokens=3)
    assert answer.finish_reason == "length"


def test_tools_and_a_format_of_the_answer_leave_nothing_else(engine: Lease) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    answer = ask(engine, tools=[WEATHER], response_format=wanted, max_tokens=60)
    calls = answer.message.get("tool_calls")
    if calls:
        assert json.loads(calls[0]["function"]["arguments"])["city"] in {"Oslo", "Lima"}
    else:
        assert list(json.loads(answer.message["content"])) == ["n"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"tools": [WEATHER], "tool_choice": "wether"}, "'wether' names no tool of this call"),
        ({"tools": [WEATHER, WEATHER]}, "two tools are called 'weather'"),
        ({"tools": [{"type": "function"}]}, "tool 0 is no function with a name"),
        ({"tools": [SENSELESS]}, "the parameters of tool 'x' is no JSON schema"),
        ({"response_format": {"type": "yaml"}}, "response_format="),
        ({"response_format": format_of({"pattern": "(?=x)y"})}, "cannot enforce: /pattern"),
        ({"response_format": format_of({"not": {}})}, "cannot enforce: /not"),
        ({"messages": [PICTURE]}, "a message has an image"),
        (
            {"tools": [WEATHER], "tool_choice": "any", "grammar": 'root ::= "x"'},
            "tool_choice forces a call, and grammar forces something else",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    engine: Lease, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(MisuseError, match=re.escape(text)):
        ask(engine, **changes)


@pytest.mark.parametrize("tools", [[], [WEATHER]])
def test_the_tokens_of_a_prompt_are_counted_as_they_will_be_read(
    engine: Lease, tools: list[Any]
) -> None:
    asked = {"messages": [QUESTION], "tools": tools}
    usage = ask(engine, **asked).usage
    assert usage is not None
    assert engine.count_tokens(asked, PATIENT) == usage.prompt_tokens
    assert asyncio.run(engine.count_tokens_async(asked, PATIENT)) == usage.prompt_tokens


def test_a_prompt_that_is_too_long_can_be_counted(engine: Lease) -> None:
    too_long = {"messages": [{"role": "user", "content": "word " * 5000}]}
    assert engine.count_tokens(too_long, PATIENT) == 5031
