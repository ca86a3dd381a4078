"""Messages, answers and calls of tools, in LlamaIndex's words and in the engines'."""

from __future__ import annotations

import base64
import copy
import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.callbacks.token_counting import get_tokens_from_response
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, ValidationError

from safe_llm import Limits, MisuseError
from safe_llm.engines.base import ChatAnswer, ChatChunk, Completion, CompletionChunk, Usage
from safe_llm.llama_index.answers import ChatReply, TextAnswer, TextReply, as_message
from safe_llm.llama_index.messages import to_openai
from safe_llm.llama_index.prompted import as_completion
from safe_llm.llama_index.reading import Reading
from safe_llm.llama_index.structured import Structured
from safe_llm.llama_index.tools import (
    asked_with_tools,
    conversation,
    only_one_call,
    selections,
)
from safe_llm.parameters.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SOUND = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0"  # the head of a wav file
PNG_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
PLAIN = Request(limits=Limits())
USAGE = Usage(prompt_tokens=7, completion_tokens=2, cached_tokens=3)
TOKENS: tuple[dict[str, Any], ...] = (
    {"token": "A", "bytes": [65], "logprob": -0.5, "top_logprobs": [
        {"token": "B", "bytes": [66], "logprob": -0.1},
        {"token": "A", "bytes": [65], "logprob": -0.5},
    ]},
    {"token": "", "bytes": [], "logprob": -0.2, "top_logprobs": []},  # the end of the text
)  # fmt: skip


def call(name: str = "add", arguments: str = '{"a": 1}', number: int = 0) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": number, "id": f"c{number}", "type": "function", "function": function}


def said_with(*calls: dict[str, Any], reason: Any = "tool_calls") -> Any:
    message = {"role": "assistant", "content": None, "tool_calls": list(calls)}
    return ChatReply(PLAIN, "m").whole(ChatAnswer(message, reason, None))


def refusal(message: ChatMessage) -> str:
    with pytest.raises(MisuseError) as caught:
        to_openai([ChatMessage("fine"), message])
    return str(caught.value)


# -- messages


@pytest.mark.parametrize(
    ("role", "known"),
    [
        ("system", "system"),
        ("developer", "system"),
        ("user", "user"),
        ("assistant", "assistant"),
        ("chatbot", "assistant"),
        ("model", "assistant"),
        ("tool", "tool"),
    ],
)
def test_a_role_is_one_that_chat_templates_know(role: str, known: str) -> None:
    message = ChatMessage("hi", role=MessageRole(role))
    assert to_openai([message]) == [{"role": known, "content": "hi"}]


def test_what_no_engine_takes_is_refused_with_the_number_of_its_message(tmp_path: Path) -> None:
    assert "message 1 has the role 'function'" in refusal(ChatMessage("x", role="function"))
    document = ChatMessage(blocks=[DocumentBlock(data=b"x", document_mimetype="text/plain")])
    assert "message 1 has content of type 'document'" in refusal(document)
    unknown = ChatMessage(blocks=[ImageBlock(image=b"no image at all")])
    assert "message 1 has an image of unknown type" in refusal(unknown)
    gone = tmp_path / "gone"
    gone.touch()
    vanished = ChatMessage(blocks=[ImageBlock(path=gone)])
    gone.unlink()
    assert "message 1 cannot be sent: [Errno 2]" in refusal(vanished)
    empty = ChatMessage(blocks=[ImageBlock(image=b"", image_mimetype="image/png")])
    assert "message 1 cannot be sent" in refusal(empty)
    with pytest.raises(MisuseError, match="there is no message"):
        to_openai([])


def test_texts_become_one_and_a_word_to_other_providers_nothing() -> None:
    blocks = [TextBlock(text="a"), CachePoint(cache_control=CacheControl(type="ephemeral"))]
    said = to_openai([ChatMessage(blocks=[*blocks, TextBlock(text="b")])])
    assert said == [{"role": "user", "content": "a\nb"}]


def test_images_are_sent_as_they_are_given(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(PNG)
    (tmp_path / "image").write_bytes(PNG)
    blocks = [
        ImageBlock(image=PNG),
        ImageBlock(path=tmp_path / "image.png", detail="low"),
        ImageBlock(path=tmp_path / "image"),
        ImageBlock(url="https://example.org/a.png"),
        ImageBlock(url=PNG_URL),
        ImageBlock(image=BytesIO(PNG)),
    ]
    (message,) = to_openai([ChatMessage(blocks=[TextBlock(text="see"), *blocks])])
    images = [part["image_url"] for part in message["content"][1:]]
    assert images == [
        {"url": PNG_URL},
        {"url": PNG_URL, "detail": "low"},
        {"url": PNG_URL},
        {"url": "https://example.org/a.png"},
        {"url": PNG_URL},
        {"url": PNG_URL},
    ]
    assert message["content"][0] == {"type": "text", "text": "see"}


def test_a_sound_is_sent_with_its_format() -> None:
    encoded = base64.b64encode(SOUND).decode()
    blocks = [
        AudioBlock(audio=SOUND, format="mp3"),
        AudioBlock(audio=BytesIO(SOUND)),
        AudioBlock(url=f"data:audio/wav;base64,{encoded}"),
    ]
    (message,) = to_openai([ChatMessage(blocks=blocks)])
    assert [one["type"] for one in message["content"]] == ["input_audio"] * 3
    assert [one["input_audio"] for one in message["content"]] == [
        {"data": encoded, "format": "mp3"},
        {"data": encoded, "format": "wav"},
        {"data": encoded, "format": "wav"},
    ]


def test_a_sound_elsewhere_is_refused_and_not_fetched() -> None:
    """LlamaIndex would fetch it in the event loop, and stop everybody in it for that long."""
    elsewhere = AudioBlock(url="http://localhost:1/far.mp3")
    assert "has a sound at http://localhost:1/far.mp3" in refusal(ChatMessage(blocks=[elsewhere]))


def test_calls_replies_and_thoughts_stand_where_templates_look_for_them() -> None:
    blocks = [
        ThinkingBlock(content="Hm."),
        ToolCallBlock(tool_call_id="c0", tool_name="add", tool_kwargs={"a": "ä"}),
        ToolCallBlock(tool_call_id="c1", tool_name="add", tool_kwargs='{"a": 2}'),
    ]
    reply = ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": "c0"})
    first, second = to_openai([ChatMessage(role="assistant", blocks=blocks), reply])
    assert first["reasoning_content"] == "Hm."
    assert [one["id"] for one in first["tool_calls"]] == ["c0", "c1"]
    assert [one["function"]["arguments"] for one in first["tool_calls"]] == [
        '{"a": "ä"}',
        '{"a": 2}',
    ]
    assert second == {"role": "tool", "content": "3", "tool_call_id": "c0"}


def test_calls_of_older_messages_are_found_too() -> None:
    class OfOpenAI(BaseModel):
        id: str = "c0"

    older = {"tool_calls": [call(), OfOpenAI()]}
    (message,) = to_openai([ChatMessage(role="assistant", additional_kwargs=older)])
    assert message["tool_calls"] == [call(), {"id": "c0"}]


def test_what_was_said_can_be_sent_back_as_it_was() -> None:
    said = {"role": "assistant", "content": "So.", "reasoning_content": "Hm."}
    whole = {**said, "tool_calls": [{**call(), "index": 0}]}
    (again,) = to_openai([as_message(whole, is_over=True)])
    function = {"name": "add", "arguments": '{"a": 1}'}
    assert again == {**said, "tool_calls": [{"id": "c0", "type": "function", "function": function}]}


# -- answers


def test_a_completion_says_what_it_cost_and_why_it_ended() -> None:
    completion = Completion("one two", "length", USAGE, timings={"predicted_n": 2})
    response = TextAnswer(PLAIN, "p", "m").whole(completion)
    assert (response.text, response.logprobs) == ("one two", None)
    raw: Any = response.raw
    assert raw["choices"] == [
        {"index": 0, "text": "one two", "finish_reason": "length", "logprobs": None}
    ]
    assert raw["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}
    assert response.additional_kwargs == {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "total_tokens": 9,
    }
    assert get_tokens_from_response(response) == (7, 2)


def test_a_streamed_completion_grows_with_what_is_to_stand_around_it() -> None:
    request = Request(limits=Limits(), echo=True, suffix="!")
    answer = TextAnswer(request, "p ", "m")
    chunks = [CompletionChunk("a"), CompletionChunk("b", (), "stop", USAGE)]
    responses = [*answer.opening(), *map(answer.take, chunks)]
    assert [one.delta for one in responses] == ["p ", "a", "b!"]
    assert [one.text for one in responses] == ["p ", "p a", "p ab!"]
    assert TextAnswer(request, "p ", "m").whole(Completion("ab", "stop", None)).text == "p ab!"


def test_logprobs_have_the_token_first_and_the_likeliest_others_after_it() -> None:
    request = Request(limits=Limits(), top_logprobs=1)
    response = TextAnswer(request, "", "m").whole(Completion("A", "stop", None, TOKENS))
    assert response.logprobs is not None
    (alternatives,) = response.logprobs
    assert [(one.token, one.logprob, one.bytes) for one in alternatives] == [
        ("A", -0.5, [65]),
        ("B", -0.1, [66]),
    ]


def test_a_reply_comes_in_pieces_with_all_that_was_said_before() -> None:
    reply = ChatReply(PLAIN, "m")
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": None},
        {"reasoning_content": "Hm."},
        {"content": "So"},
        {"content": "."},
        {"tool_calls": [call(arguments="")]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
    ]
    responses = [reply.take(ChatChunk(one)) for one in deltas]
    responses.append(reply.take(ChatChunk({}, (), "tool_calls", USAGE)))
    assert [one.delta for one in responses] == ["", "", "So", ".", "", "", "", ""]
    assert responses[1].additional_kwargs["thinking_delta"] == "Hm."
    assert [one.message.content for one in responses[1:4]] == ["", "So", "So."]
    assert [type(one) for one in responses[-1].message.blocks] == [
        ThinkingBlock,
        TextBlock,
        ToolCallBlock,
    ]
    arguments = [one.message.blocks[-1] for one in responses[4:]]
    assert [one.tool_kwargs for one in arguments if isinstance(one, ToolCallBlock)] == [
        "",
        '{"a": 1',
        '{"a": 1}',
        {"a": 1},
    ]
    calls = [one.message.additional_kwargs["tool_calls"] for one in responses[4:]]
    assert [one[0]["function"]["arguments"] for one in calls] == ["", '{"a": 1', *['{"a": 1}'] * 2]


def test_a_completion_of_a_prompt_of_the_users_is_a_reply() -> None:
    reply = TextReply(TextAnswer(Request(limits=Limits(), echo=True), "p", "m"))
    chunk = CompletionChunk("a", (), "stop", USAGE)
    responses = [*reply.opening(), reply.take(chunk), reply.whole(Completion("a", "stop", USAGE))]
    assert [one.message.content for one in responses] == ["p", "pa", "pa"]
    assert [one.message.role for one in responses] == [MessageRole.ASSISTANT] * 3
    raw: Any = responses[1].raw
    assert raw["choices"][0]["finish_reason"] == "stop"


# -- tools


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize(
    ("choice", "must", "wanted"),
    [
        (None, False, "auto"),
        (None, True, "required"),
        ("none", True, "none"),
        ("add", False, {"type": "function", "function": {"name": "add"}}),
        ({"type": "function"}, False, {"type": "function"}),
    ],
)
def test_who_may_call_and_who_must_is_said_in_openais_words(
    choice: Any, *, must: bool, wanted: Any
) -> None:
    tools = [FunctionTool.from_defaults(add)]
    asked = asked_with_tools(tools, [], choice, must_call=must, may_call_several=True)
    assert (asked["tool_choice"], asked["parallel_tool_calls"]) == (wanted, True)
    (tool,) = asked["tools"]
    assert tool["function"]["name"] == "add"
    assert set(tool["function"]["parameters"]["properties"]) == {"a", "b"}


def test_without_tools_nothing_is_said_of_them() -> None:
    asked = asked_with_tools([], [ChatMessage("hi")], "add", must_call=True, may_call_several=True)
    assert asked == {"messages": [ChatMessage("hi")]}


def test_the_history_that_was_given_stays_as_it_was() -> None:
    history = [ChatMessage("one")]
    assert [one.content for one in conversation(history, "two")] == ["one", "two"]
    assert conversation(None, ChatMessage("two")) == [ChatMessage("two")]
    assert [one.content for one in history] == ["one"]


def test_calls_are_selected_with_their_arguments() -> None:
    several = selections(said_with(call(), call(number=1, arguments="")), must_be_some=True)
    assert [(one.tool_id, one.tool_name, one.tool_kwargs) for one in several] == [
        ("c0", "add", {"a": 1}),
        ("c1", "add", {}),
    ]


def test_of_a_call_that_still_comes_there_is_what_there_is() -> None:
    parts = ["", "{", '{"a": 1', '{"a": 1, "b', "nonsense"]
    found = [
        selections(said_with(call("add", one), reason=None), must_be_some=True) for one in parts
    ]
    assert [one[0].tool_kwargs for one in found] == [{}, {}, {"a": 1}, {"a": 1}, {}]


def test_a_call_that_was_cut_off_is_not_run_with_half_of_its_arguments() -> None:
    response = said_with(call(arguments='{"path": "/ho'), reason="length")
    with pytest.raises(MisuseError, match=r"'add' has ended \(length\) before its arguments"):
        selections(response, must_be_some=False)


def test_no_call_is_llama_indexs_own_error_where_there_must_be_one() -> None:
    response = ChatReply(PLAIN, "m").whole(ChatAnswer({"content": "No."}, "stop", None))
    assert selections(response, must_be_some=False) == []
    with pytest.raises(
        ValueError, match=r"at least one tool call, got 0; the answer \(stop\) is 'No\.'"
    ):
        selections(response, must_be_some=True)


def test_where_one_call_is_allowed_the_first_is_left() -> None:
    response = only_one_call(said_with(call(), call(number=1)))
    assert [one.tool_id for one in selections(response, must_be_some=True)] == ["c0"]
    assert [one["id"] for one in response.message.additional_kwargs["tool_calls"]] == ["c0"]


# -- a prompt of the user's own


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"max_completion_tokens": 3}, {"max_tokens": 3}),
        ({"logprobs": True, "top_logprobs": 2}, {"logprobs": 2}),
        ({"tools": None, "tool_choice": "auto", "top_p": 1}, {"top_p": 1}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"json_schema": {"type": "object"}}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"a": 1}}}},
            {"json_schema": {"a": 1}},
        ),
    ],
)
def test_what_a_chat_asks_is_said_in_the_words_of_a_completion(
    asked: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert as_completion(asked) == wanted


def test_a_prompt_of_the_users_own_shows_no_tools() -> None:
    with pytest.raises(MisuseError, match="messages_to_prompt replaces it"):
        as_completion({"tools": [{}]})


# -- shapes


class City(BaseModel):
    """A city."""

    name: str
    size: int = 0


def city(text: str, reason: Any = "stop") -> Any:
    return ChatReply(PLAIN, "m").whole(ChatAnswer({"content": text}, reason, None))


def test_the_model_is_told_the_schema_and_the_messages_stay_as_they_were() -> None:
    messages = [ChatMessage("Be kind.", role="system"), ChatMessage("Name {one}.")]
    kept = copy.deepcopy(messages)
    told = Structured(City).told(messages)
    assert messages == kept
    assert [one.role for one in told] == [MessageRole.SYSTEM, MessageRole.USER]
    said = str(told[-1].content)
    assert said.startswith("Name {one}.")
    assert json.dumps(City.model_json_schema()) in said
    assert Structured(City).told([ChatMessage("So.", role="assistant")])[-1].role == "user"


def test_the_words_of_a_call_for_a_tool_are_left_out() -> None:
    asked = Structured(City).asked({"tool_required": True, "max_tokens": 9})
    schema = {"name": "City", "schema": City.model_json_schema()}
    assert asked == {
        "max_tokens": 9,
        "response_format": {"type": "json_schema", "json_schema": schema},
    }


def test_an_answer_that_was_cut_off_says_so_and_not_that_its_json_is_wrong() -> None:
    with pytest.raises(MisuseError, match="the City was cut off after 9 characters"):
        Structured(City).read(city('{"name": ', "length"))
    with pytest.raises(ValidationError):
        Structured(City).read(city('{"size": 1}'))
    assert Structured(City).read(city('{"name": "Rome"}')) == City(name="Rome")


def test_a_shape_grows_and_is_whole_in_the_end() -> None:
    shape = Structured(City)
    texts = ["", '{"na', '{"name": "Ro', '{"name": "Rome", "size": 3}']
    grown: list[Any] = [shape.read_so_far(city(one, None)) for one in texts]
    assert [one.name for one in grown] == [None, None, "Ro", "Rome"]
    assert shape.read_so_far(city(texts[-1])) == City(name="Rome", size=3)


# -- streams


class Stream:
    """A stream of the protocol; ``closed`` tells whether the work was cancelled."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = iter(pieces)
        self.closed = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> str:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.close()


@pytest.mark.asyncio
async def test_a_reading_is_a_generator_of_both_kinds() -> None:
    assert list(Reading(str.upper, Stream("ab"), "x")) == ["x", "A", "B"]
    assert [one async for one in Reading(str.upper, Stream("ab"), "x")] == ["x", "A", "B"]


@pytest.mark.asyncio
async def test_whoever_leaves_a_reading_cancels_the_work() -> None:
    stream = Stream("abc")
    reading = Reading(str.upper, stream)
    next(reading)
    reading.close()
    await reading.aclose()
    assert stream.closed == 2
    with pytest.raises(KeyError):
        reading.throw(KeyError("thrown"))
    with pytest.raises(KeyError):
        await reading.athrow(KeyError("thrown"))
    assert stream.closed == 4
