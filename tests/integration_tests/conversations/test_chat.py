"""A conversation with a real instruction model: the same words for it on both engines."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.errors import CallTimeout, PromptTooLong, RemoteError
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
    assert ask(engine, tools=[WEATHER], tool_choice="auto").finish_reason == "length"


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


def test_the_library_calls_the_tool_that_is_named_with_arguments_of_its_schema(
    kind: Kind, engine: Lease
) -> None:
    """llama-server takes a name for "auto": to enforce it is the adapter's work there."""
    named = {"type": "function", "function": {"name": "weather"}}
    answer = ask(engine, tools=[WEATHER], tool_choice=named, max_tokens=40)
    calls = answer.message.get("tool_calls", [])
    assert [one["function"]["name"] for one in calls] == (
        ["weather"] if kind is LLAMA_CPP_PYTHON else []
    )
    for one in calls:
        assert json.loads(one["function"]["arguments"])["city"] in {"Oslo", "Lima"}
        assert answer.finish_reason == "tool_calls"
