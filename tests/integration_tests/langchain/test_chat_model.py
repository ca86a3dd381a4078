"""The chat model on a real engine of each kind, with the pocket model."""

from __future__ import annotations

import asyncio
import copy
import json
import operator
import pickle
from functools import reduce
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ContextOverflowError, ModelTimeoutError
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from pydantic import BaseModel

import safe_llm
from safe_llm import CallTimeout, MisuseError, PromptTooLong
from safe_llm.langchain import ChatLlamaCpp, register_provider
from tests.engine_kinds import becomes_idle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine_kinds import Kind

pytestmark = pytest.mark.timeout(60)  # a byte is a token of this model

N_CTX = 1024
ASKED = "What is the capital of France?"


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"It rains in {city}."


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture(scope="module")
def chat(kind: Kind) -> Iterator[ChatLlamaCpp]:
    further: dict[str, Any] = {"logits_all": True} if kind.name == "llama-cpp-python" else {}
    with ChatLlamaCpp(
        model_path=str(safe_llm.pocket_model()),
        engine=kind.name,
        n_ctx=N_CTX,
        n_threads=1,
        temperature=0.0,
        max_tokens=100,
        verbose=False,
        **further,
    ) as made:
        made.start()
        yield made


def joined(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    return reduce(operator.add, chunks)


# -- text


def test_an_answer_says_what_it_cost_and_where_it_is_from(chat: ChatLlamaCpp) -> None:
    answer = chat.invoke(ASKED)
    assert "Paris" in answer.text
    usage = answer.usage_metadata
    assert usage is not None
    assert usage["input_tokens"] > len(ASKED)
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert set(usage["input_token_details"]) == {"cache_read"}
    metadata = answer.response_metadata
    assert metadata["finish_reason"] == "stop"
    assert metadata["model_name"] == str(safe_llm.pocket_model())
    assert metadata["model_provider"] == "safe_llm"
    assert metadata["timings"]["predicted_n"] == usage["output_tokens"]


def test_a_stream_adds_up_to_the_answer(chat: ChatLlamaCpp) -> None:
    chunks = list(chat.stream(ASKED))
    whole = joined(chunks)
    assert len(chunks) > 3
    answer = chat.invoke(ASKED)
    assert whole.text == answer.text
    assert [bool(one.usage_metadata) for one in chunks].count(True) == 1
    same = ("finish_reason", "model_name", "model_provider")
    assert [whole.response_metadata[one] for one in same] == [
        answer.response_metadata[one] for one in same
    ]


def test_one_object_serves_one_event_loop_after_the_other(chat: ChatLlamaCpp) -> None:
    async def ask() -> tuple[str, str]:
        answer = await chat.ainvoke(ASKED)
        chunks = [one async for one in chat.astream(ASKED)]
        return answer.text, joined(chunks).text

    said = chat.invoke(ASKED).text
    assert asyncio.run(ask()) == (said, said)
    assert asyncio.run(ask()) == (said, said)


def test_a_call_may_say_more_than_the_constructor(chat: ChatLlamaCpp) -> None:
    cut = chat.invoke(ASKED, max_tokens=2)
    assert cut.response_metadata["finish_reason"] == "length"
    assert len(cut.text) <= 2
    assert "Par" not in chat.invoke(ASKED, stop=["P"]).text
    stopping = chat.model_copy(update={"stop": ["r"]})
    assert stopping.invoke(ASKED, stop=["zzz"]).text == chat.invoke(ASKED).text.split("r")[0]


def test_each_token_comes_with_its_probability(chat: ChatLlamaCpp) -> None:
    bound = chat.bind(logprobs=True, top_logprobs=2, max_tokens=3)
    for answer in (bound.invoke(ASKED), joined(list(bound.stream(ASKED)))):  # type: ignore[arg-type]
        tokens = answer.response_metadata["logprobs"]["content"]
        assert "".join(one["token"] for one in tokens) == answer.text
        assert [len(one["top_logprobs"]) for one in tokens] == [2] * 3


def test_callbacks_hear_each_token_during_invoke(chat: ChatLlamaCpp) -> None:
    class Listener(BaseCallbackHandler):
        heard = ""

        def on_llm_new_token(self, token: str | list[Any], **kwargs: Any) -> None:
            assert isinstance(token, str)
            self.heard += token

    listener = Listener()
    answer = chat.invoke(ASKED, {"callbacks": [listener]})
    assert listener.heard == answer.text


def test_tokens_are_counted_as_they_are_read(chat: ChatLlamaCpp) -> None:
    message = HumanMessage(ASKED)
    for tools in ([], [get_weather]):
        bound = chat.bind_tools(tools) if tools else chat
        usage = bound.invoke([message]).usage_metadata
        assert usage is not None
        assert chat.get_num_tokens_from_messages([message], tools) == usage["input_tokens"]
    assert chat.get_num_tokens("Paris") == 5


def test_copies_and_pickles_answer_too(chat: ChatLlamaCpp, kind: Kind) -> None:
    for twin in (copy.copy(chat), copy.deepcopy(chat), pickle.loads(pickle.dumps(chat))):
        with twin:
            assert twin.invoke(ASKED).text == chat.invoke(ASKED).text
    assert chat.engine.status().state == "ready"


# -- tools


def test_a_tool_is_called_with_what_was_said(chat: ChatLlamaCpp) -> None:
    bound = chat.bind_tools([get_weather, add])
    answer = bound.invoke("What is the weather in Lisbon?")
    assert [(one["name"], one["args"]) for one in answer.tool_calls] == [
        ("get_weather", {"city": "Lisbon"})
    ]
    assert answer.response_metadata["finish_reason"] == "tool_calls"
    streamed = joined(list(bound.stream("What is the weather in Lisbon?")))  # type: ignore[arg-type]
    assert [(one["name"], one["args"]) for one in streamed.tool_calls] == [
        ("get_weather", {"city": "Lisbon"})
    ]
    assert len(streamed.tool_calls[0]["id"] or "") > 5


@pytest.mark.parametrize("choice", ["any", "required", True, "add"])
def test_who_must_call_calls(chat: ChatLlamaCpp, choice: Any) -> None:
    answer = chat.bind_tools([add], tool_choice=choice).invoke("Hello!")
    (call,) = answer.tool_calls
    assert call["name"] == "add"
    assert {type(one) for one in call["args"].values()} == {int}


def test_who_must_not_call_does_not(chat: ChatLlamaCpp) -> None:
    answer = chat.bind_tools([add], tool_choice="none").invoke("Hello!")
    assert not answer.tool_calls
    assert answer.text


def test_a_reply_of_a_tool_becomes_an_answer(chat: ChatLlamaCpp) -> None:
    asked = HumanMessage("What is the weather in Lisbon?")
    bound = chat.bind_tools([get_weather])
    called = bound.invoke([asked])
    reply = ToolMessage("17 degrees", tool_call_id=called.tool_calls[0]["id"])
    answer = bound.invoke([asked, called, reply])
    assert "17" in answer.text
    assert not answer.tool_calls


def test_a_call_that_is_cut_off_is_told_as_invalid(chat: ChatLlamaCpp) -> None:
    bound = chat.bind_tools([get_weather], tool_choice="any", max_tokens=40)
    answer = bound.invoke("What is the weather in Lisbon?", max_tokens=42)
    assert answer.response_metadata["finish_reason"] == "length"
    assert not answer.tool_calls
    assert [one["name"] for one in answer.invalid_tool_calls] == ["get_weather"]


def test_standard_content_blocks_keep_text_and_calls_apart(chat: ChatLlamaCpp) -> None:
    bound = chat.model_copy(update={"output_version": "v1"}).bind_tools([get_weather])
    asked = "What is the weather in Lisbon?"
    for answer in (bound.invoke(asked), joined(list(bound.stream(asked)))):  # type: ignore[arg-type]
        blocks: list[Any] = answer.content_blocks
        assert [one["args"] for one in blocks if one["type"] == "tool_call"] == [{"city": "Lisbon"}]
    plain = chat.model_copy(update={"output_version": "v1"}).invoke(ASKED)
    assert [one["type"] for one in plain.content_blocks] == ["text"]


# -- shapes


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize("include_raw", [False, True])
def test_an_answer_has_the_shape_of_its_schema(
    chat: ChatLlamaCpp, method: Any, *, include_raw: bool
) -> None:
    model = chat.with_structured_output(Person, method=method, include_raw=include_raw)
    found = model.invoke("Ann is 34 years old. Extract name and age.")
    person = found["parsed"] if include_raw else found
    assert isinstance(person, Person)
    assert person.age == 34
    if include_raw:
        assert found["parsing_error"] is None
        assert isinstance(found["raw"], AIMessage)


def test_any_json_is_json(chat: ChatLlamaCpp) -> None:
    found = chat.with_structured_output(method="json_mode").invoke(
        "Return a JSON object with the key 'name' for Ann."
    )
    assert isinstance(found, dict)


def test_a_format_may_be_bound_as_a_class(chat: ChatLlamaCpp) -> None:
    answer = chat.bind(response_format=Person).invoke("Ann is 34 years old.")
    assert set(json.loads(answer.text)) == {"name", "age"}


# -- what cannot be


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], "there is no message"),
        ([ChatMessage(content="x", role="martian")], "message 0 has the role 'martian'"),
        ([FunctionMessage(content="x", name="f")], "message 0 is a FunctionMessage"),
        (
            [SystemMessage("x"), HumanMessage([{"type": "image", "url": "https://a.b/c.png"}])],
            "a message has an image",
        ),
        (
            [HumanMessage([{"type": "file", "base64": "AA==", "mime_type": "application/pdf"}])],
            "message 0 ",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:OpenAI may require a filename")
def test_bad_input_is_refused_by_name(chat: ChatLlamaCpp, messages: list[Any], text: str) -> None:
    with pytest.raises(MisuseError) as caught:
        chat.invoke(messages)
    assert text in caught.value.reason


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ({"temprature": 1}, "temprature"),
        ({"tools": [{"type": "function"}]}, "tool 0 is no function"),
        ({"response_format": {"type": "yaml"}}, "response_format="),
        ({"grammar": "x", "response_format": {"type": "json_object"}}, "both a grammar and"),
        ({"logits_processor": [1]}, "logits_processor cannot be given to a call"),
    ],
)
def test_bad_words_are_refused_by_name(chat: ChatLlamaCpp, call: dict[str, Any], text: str) -> None:
    with pytest.raises(MisuseError) as caught:
        chat.invoke("hello", **call)
    assert text in str(caught.value)


def test_a_prompt_that_is_too_long_says_both_numbers(chat: ChatLlamaCpp) -> None:
    with pytest.raises(PromptTooLong) as caught:
        chat.invoke("word " * N_CTX)
    assert isinstance(caught.value, ContextOverflowError)
    assert caught.value.prompt_tokens > caught.value.context_tokens == N_CTX
    assert not caught.value.is_retryable


def test_a_deadline_is_a_timeout_of_theirs_and_of_ours_and_frees_the_engine(
    chat: ChatLlamaCpp,
) -> None:
    with pytest.raises(CallTimeout) as caught:
        chat.invoke("Hello!", timeout=0.2, max_tokens=900, ignore_eos=True)
    assert isinstance(caught.value, ModelTimeoutError)
    assert isinstance(caught.value, TimeoutError)
    assert becomes_idle(chat.engine)


# -- what it says of itself


def test_the_profile_is_that_of_the_model_file(chat: ChatLlamaCpp) -> None:
    profile: Any = chat.profile
    assert profile["max_input_tokens"] == N_CTX
    assert profile["max_output_tokens"] == 100
    assert profile["tool_calling"]
    assert profile["structured_output"]
    assert not profile["image_inputs"]


def test_a_model_without_a_file_has_a_profile_too() -> None:
    profile: Any = ChatLlamaCpp(model_path="/nowhere/m.gguf", verbose=False).profile
    assert profile["tool_calling"]
    assert "max_input_tokens" not in profile


def test_langchain_finds_it_by_name_where_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from langchain.chat_models import base, init_chat_model  # noqa: PLC0415 - slow to import

    monkeypatch.delitem(base._BUILTIN_PROVIDERS, "safe_llm", raising=False)
    with pytest.raises(ValueError, match="provider"):
        init_chat_model("safe_llm:pocket")
    register_provider()
    made = init_chat_model("safe_llm:pocket", temperature=0, verbose=False)
    assert isinstance(made, ChatLlamaCpp)
    assert made.model_path == str(safe_llm.pocket_model())
