"""What the pocket model is there for, on real engines: values that it cannot have seen."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from pydantic import BaseModel

import safe_llm
from safe_llm.langchain import ChatLlamaCpp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(60)  # the first test of an engine also starts it

ASKED = 6
SYLLABLES = tuple(first + second for first in "bdfgklmnprstvz" for second in "aeiou")
RANDOM = Random(31)
NUMBERS = tuple(RANDOM.randint(10, 10**6) for _ in range(ASKED))
PLACES = tuple("".join(RANDOM.choices(SYLLABLES, k=3)).capitalize() for _ in range(ASKED))


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def magic_function(number: int) -> int:
    """Apply a magic function to a number."""
    return number


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return city


TOOLS: list[Callable[..., Any]] = [magic_function, get_weather]


def on(engine: str) -> Iterator[ChatLlamaCpp]:
    """The pocket model on an engine."""
    with ChatLlamaCpp(
        model_path=str(safe_llm.pocket_model()),
        engine=engine,
        n_threads=1,
        n_ctx=2048,
        max_tokens=200,
        temperature=0,
        verbose=False,
    ) as made:
        yield made


@pytest.fixture(scope="module")
def chat() -> Iterator[ChatLlamaCpp]:
    yield from on("llama-server")


def calls(chat: ChatLlamaCpp, question: str) -> list[tuple[str, dict[str, Any]]]:
    """What it calls of the two tools."""
    said = chat.bind_tools(TOOLS).invoke(question)
    return [(one["name"], one["args"]) for one in said.tool_calls]


def about(number: int) -> str:
    return f"What is the value of magic_function({number})? Use the tool."


def test_numbers_are_copied_into_the_call_of_the_right_tool(chat: ChatLlamaCpp) -> None:
    called = [calls(chat, about(number)) for number in NUMBERS]
    assert called == [[("magic_function", {"number": number})] for number in NUMBERS]


def test_names_are_copied_into_the_call_of_the_right_tool(chat: ChatLlamaCpp) -> None:
    called = [calls(chat, f"What is the weather in {place}?") for place in PLACES]
    assert called == [[("get_weather", {"city": place})] for place in PLACES]


def test_two_places_are_two_calls(chat: ChatLlamaCpp) -> None:
    called = calls(chat, "What is the weather in Oslo and in Lima?")
    assert called == [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Lima"})]


def test_a_greeting_needs_no_tool(chat: ChatLlamaCpp) -> None:
    said = chat.bind_tools(TOOLS).invoke("Hello")
    assert (said.tool_calls, said.text) == ([], "Hello! How can I help you?")


def test_the_reply_of_a_tool_is_told(chat: ChatLlamaCpp) -> None:
    number = str(NUMBERS[0])
    asked = HumanMessage(about(7))
    called = chat.bind_tools(TOOLS).invoke([asked])
    reply = ToolMessage(number, tool_call_id=called.tool_calls[0]["id"])
    assert number in chat.bind_tools(TOOLS).invoke([asked, called, reply]).text


def test_a_schema_is_filled(chat: ChatLlamaCpp) -> None:
    filled = chat.with_structured_output(Person).invoke("Anna is 31 years old.")
    assert filled == Person(name="Anna", age=31)


def test_an_answer_ends_by_itself(chat: ChatLlamaCpp) -> None:
    said = chat.invoke("Count from 1 to 10.")
    assert said.text == "1 2 3 4 5 6 7 8 9 10"
    assert said.response_metadata["finish_reason"] == "stop"


def test_the_library_makes_the_same_calls(chat: ChatLlamaCpp) -> None:
    # It leaves the token that begins a prompt to the chat template; without it calls go wrong.
    questions = [about(918_273), f"What is the weather in {PLACES[0]}?"]
    wanted = [[("magic_function", {"number": 918_273})], [("get_weather", {"city": PLACES[0]})]]
    assert [calls(chat, one) for one in questions] == wanted
    for other in on("llama-cpp-python"):
        assert [calls(other, one) for one in questions] == wanted
