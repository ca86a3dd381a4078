"""Every way to call the model, on a real engine of each kind."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    CompletionResponse,
    CompletionResponseGen,
    ImageBlock,
    LLMMetadata,
    TextBlock,
)
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler, TokenCountingHandler
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.prompts import PromptTemplate

from safe_llm import CallTimeout, Limits, MisuseError, ModelFileInvalid, PromptTooLong
from tests.engine_kinds import LLAMA_SERVER, becomes_idle, kind_of, tokens_predicted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from safe_llm.llama_index import LlamaCPP
    from tests.integration_tests.llama_index.conftest import Make

# Importing LlamaIndex takes seconds, and on a busy machine the first test pays for some of it.
pytestmark = pytest.mark.timeout(60)

HELLO = [ChatMessage("hello")]
TEMPLATED = "<user>hello\n<assistant>"  # what the template in the model file makes of it
FOREVER: dict[str, Any] = {"max_tokens": 15_000}
TASKS = 10  # turns of an event loop


def to_prompt(messages: Sequence[ChatMessage]) -> str:
    return "|".join(str(one.content) for one in messages)


def cost(response: Any) -> tuple[int, int]:
    """How many tokens the engine says it read and wrote."""
    usage = response.raw["usage"]
    return usage["prompt_tokens"], usage["completion_tokens"]


def templated(llm: LlamaCPP) -> int:
    """How many tokens HELLO has: one for each character, and llama-server adds one before them."""
    return len(TEMPLATED) + (kind_of(llm.engine) is LLAMA_SERVER)


def test_a_completion_is_the_same_in_each_of_its_four_ways(llm: LlamaCPP) -> None:
    async def ask() -> list[str]:
        pieces = [one async for one in await llm.astream_complete("hello")]
        return [(await llm.acomplete("hello")).text, "".join(str(one.delta) for one in pieces)]

    text = llm.complete("hello").text
    streamed = list(llm.stream_complete("hello"))
    assert len(text) == 5
    assert [streamed[-1].text, *asyncio.run(ask())] == [text] * 3
    assert len(streamed) > 3


def test_a_chat_is_the_same_in_each_of_its_four_ways(llm: LlamaCPP) -> None:
    async def ask() -> list[Any]:
        pieces = [one async for one in await llm.astream_chat(HELLO)]
        return [(await llm.achat(HELLO)).message.content, pieces[-1].message.content]

    text = llm.chat(HELLO).message.content
    streamed = list(llm.stream_chat(HELLO))
    assert len(str(text)) == 5
    assert [streamed[-1].message.content, *asyncio.run(ask())] == [text] * 3
    assert "".join(str(one.delta) for one in streamed) == text


def test_a_chat_goes_through_the_template_of_the_model_file(llm: LlamaCPP) -> None:
    response = llm.chat(HELLO)
    assert cost(response) == (templated(llm), 5)
    if kind_of(llm.engine) is LLAMA_SERVER:
        assert response.message.content == llm.complete(TEMPLATED).text


def test_whoever_brings_prompts_of_his_own_gets_them(
    make: Make, settings: Mapping[str, Any], llm: LlamaCPP
) -> None:
    own = {"messages_to_prompt": to_prompt, "completion_to_prompt": "<{}>".format}
    with make(max_new_tokens=5, **own, **settings) as prompted:
        assert prompted.engine.status().pid == llm.engine.status().pid
        assert prompted.complete("hello").text == llm.complete("<hello>").text
        assert prompted.complete("hello", formatted=True).text == llm.complete("hello").text
        chat = prompted.chat([*HELLO, *HELLO])
        assert chat.message.content == llm.complete("hello|hello").text
        assert cost(chat) == (1 + len("hello|hello"), 5)
        streamed = list(prompted.stream_chat(HELLO))
        assert streamed[-1].message.content == llm.complete("hello").text


# -- what a call says


def test_what_a_call_says_counts_for_that_call(llm: LlamaCPP) -> None:
    wild: dict[str, Any] = {"max_tokens": 30, "temperature": 1.5, "top_k": 0, "seed": 7}
    one, same = llm.complete("hello", **wild), llm.complete("hello", **wild)
    other = llm.complete("hello", **{**wild, "seed": 8})
    assert cost(one) == (6, 30)
    assert one.text == same.text != other.text
    stop = one.text[12]
    stopped = llm.complete("hello", **wild, stop=[stop])
    assert stopped.text == one.text[: one.text.index(stop)]
    assert stopped.raw is not None
    assert stopped.raw["choices"][0]["finish_reason"] == "stop"
    assert len(llm.complete("hello").text) == 5
    assert len(str(llm.chat(HELLO, max_tokens=3).message.content)) == 3


def test_a_call_changes_nothing_that_was_given_to_it_or_to_the_object(llm: LlamaCPP) -> None:
    """The original writes into its ``generate_kwargs``, which it shares with who gave them."""
    call = {"stop": ["x"], "logit_bias": {"5": 1.0}}
    before = copy.deepcopy((llm.to_dict(), HELLO, call))
    llm.chat(HELLO, **call)
    list(llm.stream_complete("hello", temperature=1, max_tokens=2, **call))
    assert (llm.to_dict(), HELLO, call) == before


def test_logprobs_come_for_each_token_with_the_likeliest_others(llm: LlamaCPP) -> None:
    completed = llm.complete("hello", logprobs=3)
    chatted = llm.chat(HELLO, logprobs=True, top_logprobs=3)
    for text, logprobs in (
        (completed.text, completed.logprobs),
        (chatted.message.content, chatted.logprobs),
    ):
        assert logprobs is not None
        assert "".join(one[0].token for one in logprobs) == text
        assert [len(one) for one in logprobs] == [3] * 5
        assert all(one[0].logprob == max(each.logprob for each in one) for one in logprobs)
    assert llm.complete("hello").logprobs is None


@pytest.mark.parametrize("limit", [{"timeout": 0.3}, {"limits": Limits(total=0.3)}])
def test_a_limit_of_a_call_ends_it_and_its_work(llm: LlamaCPP, limit: dict[str, Any]) -> None:
    with pytest.raises(CallTimeout):
        llm.complete("hello", **FOREVER, **limit)
    assert becomes_idle(llm.engine)
    with pytest.raises(CallTimeout):
        llm.chat(HELLO, **FOREVER, **limit)
    assert becomes_idle(llm.engine)
    assert len(llm.complete("hello").text) == 5


def test_errors_are_those_of_the_engine(llm: LlamaCPP, make: Make) -> None:
    with pytest.raises(PromptTooLong) as caught:
        llm.complete("x" * 20_000)
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (20_001, 16_384)
    with pytest.raises(ModelFileInvalid):
        make(model_path="/nowhere/model.gguf").complete("hello")
    blocks = [TextBlock(text="see"), ImageBlock(url="data:image/png;base64,QQ==")]
    with pytest.raises(MisuseError, match="a message has an image"):
        llm.chat([ChatMessage(blocks=blocks)])


# -- the event loop


class AsTheOriginal(CustomLLM):
    """The base class of the original, and as in it only what blocks is written."""

    llm: Any

    @property
    def metadata(self) -> LLMMetadata:
        metadata: LLMMetadata = self.llm.metadata
        return metadata

    @llm_completion_callback()
    def complete(self, prompt: str, *_: Any, **kwargs: Any) -> CompletionResponse:
        response: CompletionResponse = self.llm.complete(prompt, **kwargs)
        return response

    @llm_completion_callback()
    def stream_complete(self, prompt: str, *_: Any, **kwargs: Any) -> CompletionResponseGen:
        raise NotImplementedError


async def turns_during(call: Any) -> int:
    """How often another task had its turn while the call ran."""
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    ticking = asyncio.create_task(tick())
    try:
        await call
        return turns
    finally:
        ticking.cancel()


@pytest.mark.asyncio
async def test_an_asynchronous_call_lets_others_go_on_where_the_original_blocks_them(
    llm: LlamaCPP,
) -> None:
    assert await turns_during(AsTheOriginal(llm=llm).acomplete("hello", max_tokens=200)) == 0
    assert await turns_during(llm.acomplete("hello", max_tokens=200)) > TASKS
    assert await turns_during(llm.achat(HELLO, max_tokens=200)) > TASKS


@pytest.mark.asyncio
async def test_calls_of_one_loop_are_answered_together(llm: LlamaCPP) -> None:
    answers = await asyncio.gather(*(llm.acomplete(f"question {one}") for one in range(8)))
    assert [len(one.text) for one in answers] == [5] * 8


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["acomplete", "achat"])
async def test_a_task_that_is_cancelled_ends_its_work(llm: LlamaCPP, way: str) -> None:
    asked = HELLO if way == "achat" else "hello"
    before = tokens_predicted(llm.engine)
    running = asyncio.create_task(getattr(llm, way)(asked, **FOREVER))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(running, 0.3)
    assert await asyncio.to_thread(becomes_idle, llm.engine)
    assert tokens_predicted(llm.engine) < before + FOREVER["max_tokens"]


# -- streams that are left


def test_a_stream_that_is_left_ends_its_work(llm: LlamaCPP) -> None:
    before = tokens_predicted(llm.engine)
    for _ in llm.stream_complete("hello", **FOREVER):
        break
    assert tokens_predicted(llm.engine) < before + FOREVER["max_tokens"]
    before = tokens_predicted(llm.engine)
    for _ in llm.stream_chat(HELLO, **FOREVER):
        break
    assert tokens_predicted(llm.engine) < before + FOREVER["max_tokens"]


def test_a_stream_that_is_kept_and_closed_ends_its_work(llm: LlamaCPP) -> None:
    before = tokens_predicted(llm.engine)
    stream = llm.stream_chat(HELLO, **FOREVER)
    next(stream)
    stream.close()
    assert tokens_predicted(llm.engine) < before + FOREVER["max_tokens"]


@pytest.mark.asyncio
async def test_a_stream_that_a_task_leaves_ends_its_work(llm: LlamaCPP) -> None:
    before = tokens_predicted(llm.engine)
    async for _ in await llm.astream_complete("hello", **FOREVER):
        break
    after = await asyncio.to_thread(tokens_predicted, llm.engine)
    assert after < before + FOREVER["max_tokens"]
    kept = await llm.astream_chat(HELLO, **FOREVER)
    await anext(kept)
    await kept.aclose()
    again = await asyncio.to_thread(tokens_predicted, llm.engine)
    assert again < after + FOREVER["max_tokens"]


@pytest.mark.asyncio
async def test_a_task_that_is_cancelled_while_it_reads_ends_its_work(llm: LlamaCPP) -> None:
    begun = asyncio.Event()
    before = tokens_predicted(llm.engine)

    async def read() -> None:
        async for _ in await llm.astream_chat(HELLO, **FOREVER):
            begun.set()

    reading = asyncio.create_task(read())
    await asyncio.wait_for(begun.wait(), 10)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    after = await asyncio.to_thread(tokens_predicted, llm.engine)
    assert after < before + FOREVER["max_tokens"]


# -- what LlamaIndex does with it


def test_a_prompt_is_predicted_with_the_system_prompt_before_it(
    make: Make, settings: Mapping[str, Any], llm: LlamaCPP
) -> None:
    asked = [ChatMessage("Be kind.", role="system"), ChatMessage("Say hello")]
    with make(max_new_tokens=5, system_prompt="Be kind.", **settings) as kind_one:
        said = kind_one.predict(PromptTemplate("Say {what}"), what="hello")
        streamed = "".join(kind_one.stream(PromptTemplate("Say {what}"), what="hello"))
    assert said == streamed == llm.chat(asked).message.content


def test_callbacks_count_the_tokens_that_the_engine_counted(
    make: Make, settings: Mapping[str, Any]
) -> None:
    counting, seen = TokenCountingHandler(), LlamaDebugHandler(print_trace_on_end=False)
    manager = CallbackManager([counting, seen])
    with make(max_new_tokens=5, callback_manager=manager, **settings) as watched:
        watched.complete("hello")
        watched.chat(HELLO)
        list(watched.stream_chat(HELLO))
        assert counting.prompt_llm_token_count == 6 + 2 * templated(watched)
    assert counting.completion_llm_token_count == 3 * 5
    assert len(seen.get_llm_inputs_outputs()) == 3


def test_a_notebook_shows_the_engine(llm: LlamaCPP) -> None:
    shown = llm._repr_html_()
    assert "<b>LlamaCPP</b>" in shown
    assert f"ready, pid {llm.engine.status().pid}" in shown
