"""Programs as people write them around a chat model: chains, agents, graphs, histories, fallbacks.

They run on a real llama-server of four slots with the pocket model; what goes wrong goes wrong for
real: an engine that dies is killed, and the moment of it is a token that was heard.
"""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.exceptions import ModelConnectionError, ModelTimeoutError
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from pydantic import BaseModel

import safe_llm
from safe_llm import CallTimeout, EngineDied
from safe_llm.langchain import ChatLlamaCpp, LlamaCppEmbeddings
from tests.engine_kinds import LLAMA_CPP_PYTHON, LLAMA_SERVER, becomes_idle
from tests.llama_engine import BOUND, ask, comes_true, pause, pid_of, socket_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from langchain_core.documents import Document

    Make = Callable[..., ChatLlamaCpp]

pytestmark = pytest.mark.timeout(60)  # a byte is a token of this model, and there are whole agents

SLOTS = 4
N_CTX = 1024
FAR_AWAY = 4096  # tokens, for seconds of talk: who shall be killed in the middle must not be done
ENDLESS: dict[str, Any] = {"max_tokens": -1, "ignore_eos": True}
ASKED = "What is the capital of France?"
CAPITALS = {
    "France": "Paris",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Germany": "Berlin",
    "Portugal": "Lisbon",
    "Japan": "Tokyo",
    "Norway": "Oslo",
    "Peru": "Lima",
    "Kenya": "Nairobi",
    "Egypt": "Cairo",
    "Greece": "Athens",
    "Ireland": "Dublin",
    "Sweden": "Stockholm",
    "Poland": "Warsaw",
    "Chile": "Santiago",
    "Cuba": "Havana",
}
QUESTIONS: list[Any] = [f"What is the capital of {country}?" for country in CAPITALS]


@pytest.fixture(scope="module")
def make() -> Make:
    """Make a chat model on an engine of its own, unless the fields are those of another one."""

    def made(**fields: Any) -> ChatLlamaCpp:
        usual: dict[str, Any] = {
            "model_path": str(safe_llm.pocket_model()),
            "engine": LLAMA_SERVER.name,
            "n_ctx": N_CTX,
            "n_threads": 1,
            "temperature": 0.0,
            "max_tokens": 100,
            "verbose": False,
        }
        return ChatLlamaCpp(**{**usual, **fields})

    return made


@pytest.fixture(scope="module")
def chat(make: Make) -> Iterator[ChatLlamaCpp]:
    with make(n_parallel=SLOTS) as made:
        made.start()
        yield made


# -- chains


ANSWERS = {
    "Where does the lantern stand?": "The lantern stands in Porto.",
    "When does the museum open?": "The museum opens at 9 am.",
    "When was the bridge built?": "The bridge was built in 1931.",
}


def test_a_chain_answers_out_of_what_it_has_retrieved(chat: ChatLlamaCpp) -> None:
    def answer(found: list[Document]) -> str:
        (document,) = found
        return str(document.metadata["answer"])

    prompt = ChatPromptTemplate.from_template("Context: {context}\n\nQuestion: {question}")
    with LlamaCppEmbeddings(
        model_path=str(safe_llm.pocket_model()), n_threads=1, n_ctx=256, verbose=False
    ) as embeddings:
        store = InMemoryVectorStore(embeddings)
        # By its questions: how near two texts are to so small a model proves nothing.
        store.add_texts(list(ANSWERS), metadatas=[{"answer": one} for one in ANSWERS.values()])
        retriever = store.as_retriever(search_kwargs={"k": 1})
        sources = {"context": retriever | answer, "question": RunnablePassthrough()}
        chain: Any = sources | prompt | chat | StrOutputParser()
        lantern, museum, bridge = ANSWERS
        assert "Porto" in chain.invoke(lantern)
        assert "9" in "".join(chain.stream(museum))
        assert "1931" in asyncio.run(chain.ainvoke(bridge))


def test_a_batch_of_sixteen_on_four_slots_gives_each_its_own_answer(chat: ChatLlamaCpp) -> None:
    assert len(ask(socket_of(chat.engine), "/slots").json()) == SLOTS
    for answers in (
        chat.batch(QUESTIONS),
        asyncio.run(chat.abatch(QUESTIONS)),
        chat.batch(QUESTIONS, {"max_concurrency": 3}),
    ):
        wrong = [
            (capital, answer.text)
            for capital, answer in zip(CAPITALS.values(), answers, strict=True)
            if capital not in answer.text
        ]
        assert not wrong


def test_events_of_a_chain_are_the_tokens_and_what_they_cost(chat: ChatLlamaCpp) -> None:
    async def events() -> list[Any]:
        chain = ChatPromptTemplate.from_template("{asked}") | chat | StrOutputParser()
        return [one async for one in chain.astream_events({"asked": ASKED}, version="v2")]

    told = asyncio.run(events())
    streamed = [one["data"]["chunk"] for one in told if one["event"] == "on_chat_model_stream"]
    (ended,) = (one["data"]["output"] for one in told if one["event"] == "on_chat_model_end")
    assert len(streamed) > 3
    assert "".join(one.text for one in streamed) == ended.text == chat.invoke(ASKED).text
    assert ended.usage_metadata["output_tokens"] >= len("Paris")


# Deprecated since LangChain 1.6.4, and in many programs.
@pytest.mark.filterwarnings("ignore:.*MessageHistory:DeprecationWarning")
def test_a_history_is_remembered_by_session(chat: ChatLlamaCpp) -> None:
    histories = {"ann": InMemoryChatMessageHistory(), "bob": InMemoryChatMessageHistory()}
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{said}")])

    def history_of(session_id: str) -> InMemoryChatMessageHistory:
        return histories[session_id]

    talk = RunnableWithMessageHistory(
        prompt | chat,
        history_of,
        input_messages_key="said",
        history_messages_key="history",
    )
    for name in ("Ann", "Bob"):
        session: Any = {"configurable": {"session_id": name.lower()}}
        talk.invoke({"said": f"My name is {name}."}, session)
        assert name in talk.invoke({"said": "What is my name?"}, session).text
    assert [len(one.messages) for one in histories.values()] == [4, 4]


# -- agents


class Weather(BaseModel):
    """The weather of a city."""

    degrees: int
    city: str


@pytest.fixture
def called() -> list[Any]:
    """What the tools were called with."""
    return []


@pytest.fixture
def tools(called: list[Any]) -> list[Any]:
    @tool
    def get_weather(city: str) -> str:
        """Get the weather of a city."""
        called.append(city)
        return "17 degrees"

    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        called.append((a, b))
        return a + b

    return [get_weather, add]


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [("What is the weather in Lisbon?", ("Lisbon", "17")), ("Add 2 and 3.", ((2, 3), "5"))],
)
def test_an_agent_calls_a_tool_and_answers_with_what_it_said(
    chat: ChatLlamaCpp, tools: list[Any], called: list[Any], asked: str, outcome: tuple[Any, str]
) -> None:
    argument, found = outcome
    agent: Any = create_agent(chat, tools)
    question = {"messages": [HumanMessage(asked)]}
    for said in (agent.invoke(question), asyncio.run(agent.ainvoke(question))):
        kinds = [one.type for one in said["messages"]]
        assert kinds == ["human", "ai", "tool", "ai"]
        assert found in said["messages"][-1].text
    assert called == [argument] * 2


def test_an_agent_remembers_its_thread(chat: ChatLlamaCpp) -> None:
    agent: Any = create_agent(chat, checkpointer=InMemorySaver())
    for name in ("Ann", "Bob"):
        thread = {"configurable": {"thread_id": name}}
        agent.invoke({"messages": [HumanMessage(f"My name is {name}.")]}, thread)
        said = agent.invoke({"messages": [HumanMessage("What is my name?")]}, thread)
        assert name in said["messages"][-1].text


class CallOnce(AgentMiddleware):
    """Offers no tools any more when one has replied: this model would not leave off."""

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        return handler(self._without_tools(request))

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        return await handler(self._without_tools(request))

    def _without_tools(self, request: Any) -> Any:
        has_replied = any(one.type == "tool" for one in request.messages)
        return request.override(tools=[]) if has_replied else request


def test_an_agent_with_a_response_format_calls_the_tool_and_fills_the_format(
    chat: ChatLlamaCpp, tools: list[Any], called: list[Any]
) -> None:
    """LangChain binds tools and format together: the grammar is that of both."""
    # The form has to be told: by itself, this model would fill in the response format at once.
    told = 'Call a tool first. A call is {"name": "get_weather", "arguments": {"city": ...}}.'
    agent: Any = create_agent(
        chat, tools, response_format=Weather, system_prompt=told, middleware=[CallOnce()]
    )
    question = {"messages": [HumanMessage("Call get_weather with city Lisbon.")]}
    for said in (agent.invoke(question), asyncio.run(agent.ainvoke(question))):
        assert said["structured_response"] == Weather(city="Lisbon", degrees=17)
        assert [one.type for one in said["messages"]] == ["human", "ai", "tool", "ai"]
    assert called == ["Lisbon"] * 2


# -- graphs


class State(TypedDict):
    messages: Annotated[list[BaseMessage], add_messages]


def test_a_graph_streams_the_tokens_of_its_node(chat: ChatLlamaCpp) -> None:
    def answer(state: State) -> dict[str, Any]:
        return {"messages": [chat.invoke(state["messages"])]}

    async def answer_async(state: State) -> dict[str, Any]:
        return {"messages": [await chat.ainvoke(state["messages"])]}

    graph = StateGraph(State)
    graph.add_node("answer", RunnableLambda(answer, answer_async))
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    program: Any = graph.compile()
    question = {"messages": [HumanMessage(ASKED)]}

    async def pieces() -> list[Any]:
        return [one async for one in program.astream(question, stream_mode="messages")]

    for told in (list(program.stream(question, stream_mode="messages")), asyncio.run(pieces())):
        tokens = [piece for piece, _ in told if isinstance(piece, AIMessageChunk)]
        assert len(tokens) > 3
        assert "".join(one.text for one in tokens) == chat.invoke(ASKED).text
        assert {about["langgraph_node"] for _, about in told} == {"answer"}


# -- engines that die


class KillsOnce(BaseCallbackHandler):
    """Kills an engine when its first token is heard."""

    raise_error = True

    def __init__(self, chat: ChatLlamaCpp) -> None:
        self._chat = chat
        self.killed: list[int] = []

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        if not self.killed:
            self.killed.append(pid_of(self._chat.engine))
            os.kill(self.killed[0], signal.SIGKILL)


def test_a_fallback_answers_when_the_engine_is_killed_in_the_middle(make: Make) -> None:
    with make(n_ctx=FAR_AWAY) as first, make(engine=LLAMA_CPP_PYTHON.name) as second:
        killer = KillsOnce(first)
        endless = first.bind(**ENDLESS)
        with pytest.raises(EngineDied):
            endless.invoke(ASKED, {"callbacks": [killer]})
        killer = KillsOnce(first)
        program = endless.with_fallbacks([second], exceptions_to_handle=(ModelConnectionError,))
        answer = program.invoke(ASKED, {"callbacks": [killer]})
        assert "Paris" in answer.text
        assert len(killer.killed) == 1


def _killed_before_its_first_token(mortal: ChatLlamaCpp, program: Any) -> Any:
    """Return what the program answers when its engine dies under it."""
    mortal.start()
    pid = pid_of(mortal.engine)
    pause(pid)  # so that it says nothing before it dies
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(program.invoke, ASKED)
        assert comes_true(lambda: mortal.engine.status().calls_in_flight == 1)
        os.kill(pid, signal.SIGKILL)
        return answer.result(2 * BOUND)


def test_who_may_not_retry_is_told_of_the_death_of_the_engine(make: Make) -> None:
    with make(n_ctx=N_CTX + 1) as mortal, pytest.raises(EngineDied):
        _killed_before_its_first_token(mortal, mortal)


def test_a_model_that_may_retry_answers_though_its_engine_was_killed(make: Make) -> None:
    with make(n_ctx=N_CTX + 1, max_retries=1) as mortal:
        answer = _killed_before_its_first_token(mortal, mortal)
        assert "Paris" in answer.text
        assert mortal.engine.status().restarts == 1


def test_a_program_that_may_retry_answers_though_its_engine_was_killed(make: Make) -> None:
    with make(n_ctx=N_CTX + 1) as mortal:
        retrying = mortal.with_retry(
            retry_if_exception_type=(ModelConnectionError,),
            wait_exponential_jitter=False,
            stop_after_attempt=2,
        )
        answer = _killed_before_its_first_token(mortal, retrying)
        assert "Paris" in answer.text
        assert mortal.engine.status().restarts == 1


# -- calls that are left


def test_who_breaks_out_of_a_stream_frees_the_slot(chat: ChatLlamaCpp) -> None:
    for _ in chat.stream(ASKED, **ENDLESS):
        assert not LLAMA_SERVER.is_idle(chat.engine)
        break
    assert becomes_idle(chat.engine)


def test_a_task_that_is_cancelled_frees_the_slot(chat: ChatLlamaCpp) -> None:
    class Listener(AsyncCallbackHandler):
        def __init__(self) -> None:
            self.heard = asyncio.Event()

        async def on_llm_new_token(self, token: Any, *, run_id: UUID, **_: Any) -> None:
            self.heard.set()

    async def cancel() -> None:
        listener = Listener()
        call = asyncio.create_task(chat.ainvoke(ASKED, {"callbacks": [listener]}, **ENDLESS))
        await asyncio.wait_for(listener.heard.wait(), BOUND)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(cancel())
    assert becomes_idle(chat.engine)


def test_a_call_that_may_take_a_moment_only_is_a_timeout_in_every_vocabulary(
    chat: ChatLlamaCpp,
) -> None:
    hurried = partial(chat.invoke, ASKED, timeout=0.05, **ENDLESS)
    with pytest.raises(TimeoutError) as caught:
        hurried()
    assert isinstance(caught.value, CallTimeout)
    assert isinstance(caught.value, ModelTimeoutError)
    assert becomes_idle(chat.engine)
    answer = chat.invoke(ASKED)
    assert isinstance(answer, AIMessage)
    assert "Paris" in answer.text
