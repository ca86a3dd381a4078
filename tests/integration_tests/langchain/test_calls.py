from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ContextOverflowError, ModelNotFoundError, ModelTimeoutError
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import ConfigurableField

from safe_llm import CallTimeout, ModelFileInvalid, PromptTooLong
from tests.engine_kinds import becomes_idle, tokens_predicted

if TYPE_CHECKING:
    from pathlib import Path

    from safe_llm.langchain import LlamaCpp
    from tests.integration_tests.langchain.conftest import Make

FOREVER: dict[str, Any] = {"max_tokens": -1}


def test_invoke_answers_with_as_many_tokens_as_asked_for(llm: LlamaCpp) -> None:
    assert len(llm.invoke("hello")) == 5
    assert len(llm.invoke("hello", max_tokens=9)) == 9


@pytest.mark.asyncio
async def test_ainvoke_answers_the_same(llm: LlamaCpp) -> None:
    assert await llm.ainvoke("hello", seed=1) == llm.invoke("hello", seed=1)


def test_a_synchronous_call_inside_of_a_running_loop_answers(llm: LlamaCpp) -> None:
    async def inside() -> str:
        return llm.invoke("hello")

    assert len(asyncio.run(inside())) == 5


def test_stream_brings_the_answer_piece_by_piece(llm: LlamaCpp) -> None:
    pieces = list(llm.stream("hello"))
    assert len(pieces) > 2
    assert "".join(pieces) == llm.invoke("hello")


@pytest.mark.asyncio
async def test_astream_brings_the_answer_piece_by_piece(llm: LlamaCpp) -> None:
    pieces = [piece async for piece in llm.astream("hello")]
    assert len(pieces) > 2
    assert "".join(pieces) == await llm.ainvoke("hello")


def test_a_batch_of_sixteen_is_answered(llm: LlamaCpp) -> None:
    prompts: list[Any] = [f"question {number}" for number in range(16)]
    assert [len(text) for text in llm.batch(prompts)] == [5] * 16
    assert [len(text) for text in llm.batch(prompts, {"max_concurrency": 3})] == [5] * 16


def test_n_ctx_is_the_context_of_each_call_of_a_batch(make: Make) -> None:
    prompts: list[Any] = ["y" * 120] * 16  # with their answers 3,520 tokens in all
    with make(n_ctx=256, max_tokens=100) as small:
        assert [len(text) for text in small.batch(prompts)] == [100] * 16
        with pytest.raises(PromptTooLong) as caught:
            small.invoke("y" * 256)
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (257, 256)


@pytest.mark.asyncio
async def test_an_abatch_of_sixteen_is_answered(llm: LlamaCpp) -> None:
    prompts: list[Any] = [f"question {number}" for number in range(16)]
    assert [len(text) for text in await llm.abatch(prompts)] == [5] * 16


def test_generate_says_why_each_answer_ended_and_what_it_cost(llm: LlamaCpp) -> None:
    result = llm.generate(["ab", "abcd"], max_tokens=3)
    infos = [several[0].generation_info or {} for several in result.generations]
    assert [info["finish_reason"] for info in infos] == ["length", "length"]
    # One character is one token, and every prompt begins with a beginning-of-sequence token.
    assert [info["usage_metadata"]["input_tokens"] for info in infos] == [3, 5]
    assert result.llm_output is not None
    assert result.llm_output["token_usage"]["completion_tokens"] == 6


@pytest.mark.asyncio
async def test_agenerate_says_it_too(llm: LlamaCpp) -> None:
    result = await llm.agenerate(["ab", "abcd"], max_tokens=3)
    assert result.llm_output is not None
    assert result.llm_output["token_usage"]["total_tokens"] == 3 + 5 + 6


def test_a_stop_string_of_the_object_and_one_of_the_call_both_end_the_answer(
    llm: LlamaCpp, make: Make
) -> None:
    text = llm.invoke("hello", max_tokens=40, temperature=1.0, top_k=0, seed=7)
    settings: dict[str, Any] = {"max_tokens": 40, "temperature": 1.0, "top_k": 0, "seed": 7}
    first, second = text[25], text[12]
    with make(stop=[first], **settings) as stopping:
        assert stopping.invoke("hello") == text[: text.index(first)]
        shorter = min(text.index(first), text.index(second))
        assert stopping.invoke("hello", stop=[second]) == text[:shorter]
        assert "".join(stopping.stream("hello", stop=[second])) == text[:shorter]


def test_logprobs_come_for_each_token_with_the_likeliest_others(llm: LlamaCpp) -> None:
    generation = llm.generate(["hello"], logprobs=3).generations[0][0]
    assert generation.generation_info is not None
    found = generation.generation_info["logprobs"]
    assert "".join(found["tokens"]) == generation.text
    assert found["text_offset"] == [5, 6, 7, 8, 9]
    assert [len(top) for top in found["top_logprobs"]] == [3] * 5
    for token, logprob, top in zip(
        found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True
    ):
        assert top[token] == logprob == max(top.values())  # it was greedy


def test_a_grammar_binds_the_answer(llm: LlamaCpp, tmp_path: Path) -> None:
    path = tmp_path / "digits.gbnf"
    path.write_text("root ::= [0-9]+")
    assert llm.invoke("hello", grammar='root ::= "yes"', max_tokens=20) == "yes"
    assert llm.invoke("hello", grammar_path=path).isdigit()
    assert llm.invoke("hello", json_schema={"enum": ["maybe"]}, max_tokens=20) == '"maybe"'


def test_echo_and_suffix_stand_around_the_answer(llm: LlamaCpp) -> None:
    plain = llm.invoke("hello")
    assert llm.invoke("hello", echo=True, suffix="!") == f"hello{plain}!"
    assert "".join(llm.stream("hello", echo=True, suffix="!")) == f"hello{plain}!"


def test_tokens_are_counted_by_the_tokenizer_of_the_model(llm: LlamaCpp) -> None:
    assert llm.get_num_tokens("hello") == len(llm.get_token_ids("hello")) == 5


def test_callbacks_get_each_token_while_invoke_is_running(llm: LlamaCpp) -> None:
    heard: list[str] = []

    class Listener(BaseCallbackHandler):
        def on_llm_new_token(self, token: Any, **_: Any) -> None:
            heard.append(token)

    text = llm.invoke("hello", {"callbacks": [Listener()]})
    assert len(heard) > 2
    assert "".join(heard) == text


def test_what_is_in_the_cache_is_not_asked_for_again(llm: LlamaCpp) -> None:
    cached = llm.model_copy(update={"cache": InMemoryCache()})
    text = cached.invoke("cache me")
    before = tokens_predicted(llm.engine)
    assert cached.invoke("cache me") == text
    assert tokens_predicted(llm.engine) == before
    cached.invoke("cache me too")
    assert tokens_predicted(llm.engine) == before + 5


def test_a_bound_timeout_ends_the_call_and_its_work(llm: LlamaCpp) -> None:
    with pytest.raises(CallTimeout) as caught:
        llm.bind(timeout=0.3, **FOREVER).invoke("hello")
    assert isinstance(caught.value, ModelTimeoutError)
    assert becomes_idle(llm.engine)
    assert len(llm.invoke("hello")) == 5


def test_a_stream_that_is_left_ends_its_work(llm: LlamaCpp) -> None:
    for _ in llm.stream("hello", **FOREVER):
        break
    assert becomes_idle(llm.engine)


@pytest.mark.asyncio
async def test_a_task_that_is_cancelled_ends_its_work(llm: LlamaCpp) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in llm.astream("hello", **FOREVER):
            begun.set()

    reading = asyncio.create_task(read())
    await asyncio.wait_for(begun.wait(), 10)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert becomes_idle(llm.engine)


def test_a_prompt_that_fails_cancels_the_others_of_its_batch(llm: LlamaCpp) -> None:
    with pytest.raises(PromptTooLong) as caught:
        llm.generate(["x" * 20_000, "fine", "fine too"], **FOREVER)
    assert isinstance(caught.value, ContextOverflowError)
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (20_001, 16_384)
    assert becomes_idle(llm.engine)


def test_a_batch_has_the_error_of_a_prompt_in_its_place_and_the_answers_of_the_others(
    llm: LlamaCpp,
) -> None:
    prompts: list[Any] = ["fine", "x" * 20_000, "fine too"]
    for answers in (
        llm.batch(prompts, return_exceptions=True),
        asyncio.run(llm.abatch(prompts, return_exceptions=True)),
    ):
        first, refused, last = answers
        assert (len(first), len(last)) == (5, 5)
        assert isinstance(refused, PromptTooLong)
    with pytest.raises(PromptTooLong):
        llm.batch(prompts)


def test_a_missing_model_file_is_an_error_of_the_first_call_and_of_langchain(make: Make) -> None:
    llm = make(model_path="/nowhere/model.gguf")
    with pytest.raises(ModelFileInvalid) as caught:
        llm.invoke("hello")
    assert isinstance(caught.value, ModelNotFoundError)


def test_it_composes_with_prompts_and_parsers(llm: LlamaCpp) -> None:
    chain = PromptTemplate.from_template("Say {what}") | llm | StrOutputParser()
    assert len(chain.invoke({"what": "hello"})) == 5
    assert len("".join(chain.stream({"what": "hello"}))) == 5
    assert [len(text) for text in chain.batch([{"what": "a"}, {"what": "b"}])] == [5, 5]


def test_configurable_fields_change_one_call_and_use_the_same_process(llm: LlamaCpp) -> None:
    chain: Any = llm.configurable_fields(max_tokens=ConfigurableField(id="length"))
    pid = llm.engine.status().pid
    assert len(chain.with_config(configurable={"length": 3}).invoke("hello")) == 3
    assert len(chain.invoke("hello")) == 5
    status = llm.engine.status()
    assert (status.pid, status.leases) == (pid, 1)


def test_a_notebook_shows_the_engine(llm: LlamaCpp) -> None:
    shown = llm._repr_html_()
    assert f"ready, pid {llm.engine.status().pid}" in shown
    assert "B of stderr" in shown
