"""Tools, agents, shapes and a query engine: what LlamaIndex builds upon the model.

With the pocket model, which calls tools well enough; who *must* call is forced to, whatever the
model.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import pytest
from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.core.types import PydanticProgramMode
from pydantic import BaseModel, Field

from safe_llm import MisuseError
from tests.engine_kinds import tokens_predicted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.llama_index import LlamaCPP
    from tests.integration_tests.llama_index.conftest import Make

# Importing LlamaIndex takes seconds, and on a busy machine the first test pays for some of it.
pytestmark = pytest.mark.timeout(60)


class City(BaseModel):
    """A city."""

    name: str = Field(max_length=30)
    inhabitants: int = Field(description="in millions", ge=0, le=99)


class Weather(BaseModel):
    """The weather."""

    sky: Literal["clear", "cloudy"]
    is_windy: bool


class Essay(BaseModel):
    """What a model that means nothing never comes to the end of."""

    text: str


FOREVER: dict[str, Any] = {"max_tokens": 8000}
ABOUT = PromptTemplate("Tell of {name}.")


def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TOOLS = [FunctionTool.from_defaults(one) for one in (weather, add)]


def called(llm: LlamaCPP, response: Any) -> list[tuple[str, list[str]]]:
    found = llm.get_tool_calls_from_response(response)
    return [(one.tool_name, list(one.tool_kwargs)) for one in found]


# -- tools


def test_who_must_call_a_tool_calls_it_in_each_of_the_four_ways(pocket: LlamaCPP) -> None:
    async def ask() -> list[Any]:
        stream = await pocket.astream_chat_with_tools(TOOLS, "Oslo?", tool_choice="weather")
        return [
            await pocket.achat_with_tools(TOOLS, "Oslo?", tool_choice="weather"),
            [one async for one in stream][-1],
        ]

    streamed = list(pocket.stream_chat_with_tools(TOOLS, "Oslo?", tool_choice="weather"))
    responses = [
        pocket.chat_with_tools(TOOLS, "Oslo?", tool_choice="weather"),
        streamed[-1],
        *asyncio.run(ask()),
    ]
    assert [called(pocket, one) for one in responses] == [[("weather", ["city"])]] * 4
    growing = [one.message.blocks[-1] for one in streamed if one.message.additional_kwargs]
    arguments = [str(one.tool_kwargs) for one in growing if isinstance(one, ToolCallBlock)]
    assert len(set(arguments)) > 3


def test_one_tool_of_several_must_be_called(pocket: LlamaCPP) -> None:
    response = pocket.chat_with_tools(TOOLS, "What is 17 and 25?", tool_required=True)
    ((name, _),) = called(pocket, response)
    assert name in {"weather", "add"}


def test_no_tool_is_called_where_none_may_be(pocket: LlamaCPP) -> None:
    response = pocket.chat_with_tools(TOOLS, "Weather in Oslo?", tool_choice="none")
    with pytest.raises(ValueError, match="at least one tool call"):
        called(pocket, response)


def test_a_call_that_was_cut_off_is_not_run(pocket: LlamaCPP) -> None:
    response = pocket.chat_with_tools(TOOLS, "Oslo?", tool_choice="weather", max_tokens=40)
    with pytest.raises(MisuseError, match="raise max_new_tokens="):
        called(pocket, response)


def test_a_tool_is_called_and_its_reply_is_what_is_told(pocket: LlamaCPP) -> None:
    told = pocket.predict_and_call(TOOLS, "What is the weather in Oslo?", tool_choice="weather")
    assert str(told) == "sunny in Oslo"


def test_a_prompt_of_the_users_own_calls_no_tools(make: Make) -> None:
    with (
        make(messages_to_prompt=str) as prompted,
        pytest.raises(MisuseError, match="chat template"),
    ):
        prompted.chat_with_tools(TOOLS, "Oslo?")


@pytest.mark.asyncio
@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_calls_the_tool_and_answers_with_its_reply(
    pocket: LlamaCPP, *, streaming: bool
) -> None:
    used: list[tuple[Any, ...]] = []

    def weather(city: str) -> str:
        """Tell the weather in a city."""
        used.append(("weather", city))
        return f"sunny in {city}"

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        used.append(("add", a, b))
        return a + b

    agent = FunctionAgent(tools=[weather, add], llm=pocket, streaming=streaming)
    answer = await agent.run("What is the weather in Oslo?")
    assert "sunny in Oslo" in str(answer)
    assert used == [("weather", "Oslo")]


# -- shapes


def test_a_shape_is_filled_in_each_of_its_four_ways(pocket: LlamaCPP) -> None:
    async def ask() -> list[Any]:
        stream = await pocket.astream_structured_predict(City, ABOUT, name="Oslo")
        return [
            await pocket.astructured_predict(City, ABOUT, name="Oslo"),
            [one async for one in stream][-1],
        ]

    filled = pocket.structured_predict(City, ABOUT, name="Oslo")
    streamed = list(pocket.stream_structured_predict(City, ABOUT, name="Oslo"))
    assert isinstance(filled, City)
    assert [streamed[-1], *asyncio.run(ask())] == [filled] * 3
    assert len({repr(one) for one in streamed}) > 2


def test_a_shaped_model_answers_in_its_shape(pocket: LlamaCPP) -> None:
    shaped = pocket.as_structured_llm(City)
    response = shaped.chat([ChatMessage("Tell of Oslo.")])
    assert isinstance(response.raw, City)
    assert City.model_validate_json(str(response.message.content)) == response.raw
    assert isinstance(asyncio.run(shaped.acomplete("Tell of Oslo.")).raw, City)


def test_a_shape_is_obeyed_by_a_model_that_means_nothing(
    llm: LlamaCPP, make: Make, settings: Mapping[str, Any]
) -> None:
    """And through a prompt of the user's own, and by the call of a tool as LlamaIndex does it."""
    wide: dict[str, Any] = {"llm_kwargs": {"max_tokens": 2000}, "name": "Oslo"}
    assert isinstance(llm.structured_predict(Weather, ABOUT, **wide), Weather)
    with make(messages_to_prompt=str, **settings) as prompted:
        assert isinstance(prompted.structured_predict(Weather, ABOUT, **wide), Weather)
    with make(pydantic_program_mode=PydanticProgramMode.FUNCTION, **settings) as calling:
        assert isinstance(calling.structured_predict(Weather, ABOUT, **wide), Weather)


def test_a_shape_that_was_cut_off_says_so(pocket: LlamaCPP) -> None:
    with pytest.raises(MisuseError, match="the City was cut off"):
        pocket.structured_predict(City, ABOUT, llm_kwargs={"max_tokens": 3}, name="Oslo")


def test_a_shape_that_is_left_while_it_grows_ends_its_work(llm: LlamaCPP) -> None:
    before = tokens_predicted(llm.engine)
    for _ in llm.stream_structured_predict(Essay, ABOUT, llm_kwargs=FOREVER, name="Oslo"):
        break
    assert tokens_predicted(llm.engine) < before + FOREVER["max_tokens"]


@pytest.mark.asyncio
async def test_a_shape_that_a_task_leaves_while_it_grows_ends_its_work(llm: LlamaCPP) -> None:
    before = tokens_predicted(llm.engine)
    asked = {"llm_kwargs": FOREVER, "name": "Oslo"}
    growing: Any = await llm.astream_structured_predict(Essay, ABOUT, **asked)
    await anext(growing)
    await growing.aclose()
    after = await asyncio.to_thread(tokens_predicted, llm.engine)
    assert after < before + FOREVER["max_tokens"]


# -- a query engine


def test_a_question_is_answered_from_documents(
    pocket: LlamaCPP, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = LlamaDebugHandler(print_trace_on_end=False)
    monkeypatch.setattr(Settings, "_callback_manager", CallbackManager([seen]))
    texts = ["The museum opens at nine.", "The name of the ship is Zubrow."]
    index = VectorStoreIndex.from_documents(
        [Document(text=one) for one in texts], embed_model=MockEmbedding(embed_dim=8)
    )
    question = "What is the name of the ship?"
    answer = index.as_query_engine(llm=pocket).query(question)
    again = asyncio.run(index.as_query_engine(llm=pocket).aquery(question))
    streamed: Any = index.as_query_engine(llm=pocket, streaming=True).query(question)
    assert str(answer) == str(again) == "".join(streamed.response_gen)
    assert str(answer)
    messages = [
        str(begun.payload[EventPayload.MESSAGES])
        for begun, _ in seen.get_event_pairs(CBEventType.LLM)
        if begun.payload
    ]
    assert len(messages) == 3
    assert all(text in one for text in texts for one in messages)
