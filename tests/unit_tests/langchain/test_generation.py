from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.exceptions import ModelError, ModelTimeoutError
from langchain_core.outputs import GenerationChunk

from safe_llm import CallTimeout, MisuseError
from safe_llm.engines.base import CompletionChunk
from safe_llm.langchain import LlamaCpp
from safe_llm.limits import Limits
from tests.unit_tests.langchain.scripted_engine import ScriptedEngine, ScriptedLeases, spells

if TYPE_CHECKING:
    from collections.abc import Iterator


def llama(engine: ScriptedEngine, **fields: Any) -> LlamaCpp:
    llm = LlamaCpp(model_path="/nowhere/model.gguf", **fields)
    llm.client = ScriptedLeases(engine)
    return llm


def fails_at_bad(prompt: str) -> Iterator[CompletionChunk]:
    if prompt == "bad":
        raise CallTimeout(engine="scripted", layer="L1 gap", limit=1.0, elapsed=1.2)
    return spells(prompt)


class Listener(BaseCallbackHandler):
    raise_error = True

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.chunks: list[object] = []
        self.threads: set[int] = set()
        self.errors: list[BaseException] = []

    def on_llm_new_token(self, token: Any, *, chunk: object = None, **_: Any) -> None:
        self.tokens.append(token)
        self.chunks.append(chunk)
        self.threads.add(threading.get_ident())

    def on_llm_error(self, error: BaseException, **_: Any) -> None:
        self.errors.append(error)


class Raises(BaseCallbackHandler):
    raise_error = True

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        raise LookupError(token)


def test_several_prompts_are_with_the_engine_at_once_and_answered_in_order() -> None:
    engine = ScriptedEngine()
    assert llama(engine).batch(["one", "two", "three"]) == ["ONE", "TWO", "THREE"]
    assert [body["prompt"] for body in engine.bodies] == ["one", "two", "three"]


@pytest.mark.asyncio
async def test_several_prompts_are_answered_in_order_for_a_task_too() -> None:
    engine = ScriptedEngine()
    assert await llama(engine).abatch(["one", "two", "three"]) == ["ONE", "TWO", "THREE"]


def test_prompts_of_a_long_list_do_not_all_wait_in_the_queue_of_the_engine() -> None:
    ahead: list[int] = []

    class Counts(BaseCallbackHandler):
        def on_llm_new_token(self, token: Any, **_: Any) -> None:
            ahead.append(len(engine.bodies))

    engine = ScriptedEngine(lambda _: iter([CompletionChunk("x", (), "stop")]))
    prompts: list[Any] = [str(number) for number in range(100)]
    assert llama(engine).batch(prompts, {"callbacks": [Counts()]}) == ["x"] * 100
    assert max(asked - answered for answered, asked in enumerate(ahead)) == 16


def test_the_error_of_a_call_is_ours_and_langchains() -> None:
    with pytest.raises(CallTimeout) as caught:
        llama(ScriptedEngine(fails_at_bad)).invoke("bad")
    assert isinstance(caught.value, ModelTimeoutError)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.is_retryable


def test_a_fallback_of_langchain_catches_the_error_of_a_call() -> None:
    failing, other = llama(ScriptedEngine(fails_at_bad)), llama(ScriptedEngine())
    chain = failing.with_fallbacks([other], exceptions_to_handle=(ModelError,))
    assert chain.invoke("bad") == "BAD"


def test_when_one_prompt_fails_the_others_are_cancelled() -> None:
    engine = ScriptedEngine(fails_at_bad)
    with pytest.raises(CallTimeout):
        llama(engine).generate(["good", "fine", "bad", "never asked"])
    assert [stream.closed for stream in engine.streams] == [True, True]


@pytest.mark.asyncio
async def test_when_one_prompt_fails_the_others_are_cancelled_for_a_task_too() -> None:
    engine = ScriptedEngine(fails_at_bad)
    with pytest.raises(CallTimeout):
        await llama(engine).agenerate(["good", "fine", "bad", "never asked"])
    assert [stream.closed for stream in engine.streams] == [True, True]


def test_a_callback_that_raises_cancels_the_call() -> None:
    engine = ScriptedEngine()
    with pytest.raises(LookupError):
        llama(engine).invoke("hi", {"callbacks": [Raises()]})
    assert engine.streams[0].closed


def test_a_stream_that_is_left_is_cancelled() -> None:
    engine = ScriptedEngine()
    for text in llama(engine).stream("hello"):
        assert text == "H"
        break
    assert engine.streams[0].closed


@pytest.mark.asyncio
async def test_an_asynchronous_stream_that_is_closed_is_cancelled() -> None:
    engine = ScriptedEngine()
    stream = llama(engine).astream("hello")
    assert await anext(stream) == "H"
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    assert engine.streams[0].closed


def test_callbacks_hear_each_chunk_in_the_thread_of_the_caller() -> None:
    listener = Listener()
    llama(ScriptedEngine()).invoke("abc", {"callbacks": [listener]})
    assert listener.tokens == ["A", "B", "C", ""]
    assert all(isinstance(chunk, GenerationChunk) for chunk in listener.chunks)
    assert listener.threads == {threading.get_ident()}


@pytest.mark.asyncio
async def test_asynchronous_callbacks_hear_each_chunk_in_the_loop_of_the_caller() -> None:
    heard: list[tuple[str, int]] = []

    class Hears(AsyncCallbackHandler):
        async def on_llm_new_token(self, token: Any, **_: Any) -> None:
            heard.append((token, threading.get_ident()))

    llm = llama(ScriptedEngine())
    assert await llm.ainvoke("ab", {"callbacks": [Hears()]}) == "AB"
    assert [text async for text in llm.astream("c", {"callbacks": [Hears()]})] == ["C", ""]
    assert heard == [(token, threading.get_ident()) for token in ("A", "B", "", "C", "")]


def test_callbacks_hear_of_the_error_as_langchain_knows_it() -> None:
    listener = Listener()
    with pytest.raises(ModelTimeoutError):
        llama(ScriptedEngine(fails_at_bad)).invoke("bad", {"callbacks": [listener]})
    assert [type(error).__name__ for error in listener.errors] == ["ModelCallTimeout"]


def test_what_is_bound_reaches_the_call_and_only_that_one() -> None:
    engine = ScriptedEngine()
    llm = llama(engine, limits=Limits(gap=3.0))
    assert llm.bind(timeout=2.5, max_tokens=4, stop=["x"]).invoke("hi") == "HI"
    llm.invoke("hi")
    assert list(engine.limits) == [Limits(gap=3.0, call=2.5), Limits(gap=3.0)]
    assert (engine.bodies[0]["n_predict"], engine.bodies[1]["n_predict"]) == (4, 256)
    assert engine.bodies[0]["stop"] == ["x"]


def test_a_misspelt_word_in_a_call_never_reaches_the_engine() -> None:
    engine = ScriptedEngine()
    with pytest.raises(MisuseError, match="instead of 'max_token' you probably meant 'max_tokens'"):
        llama(engine).invoke("hi", max_token=3)
    assert engine.bodies == []


def test_tokens_are_counted_by_the_engine_unless_the_user_brings_a_tokenizer() -> None:
    engine = ScriptedEngine()
    assert llama(engine).get_num_tokens("four") == 4
    assert llama(engine, custom_get_token_ids=lambda _: [1, 2]).get_num_tokens("four") == 2


def test_start_has_the_engine_ready_within_the_limits_of_the_object() -> None:
    engine = ScriptedEngine()
    llama(engine, timeout=5.0).start()
    assert list(engine.limits) == [Limits(call=5.0)]


def test_a_notebook_shows_state_bytes_and_last_lines_and_runs_none_of_them() -> None:
    shown = llama(ScriptedEngine())._repr_html_()
    assert "ready, pid 4711" in shown
    assert "65,536 B of stderr" in shown
    assert "one &lt;b&gt;\ntwo" in shown
    assert "<b>\n" not in shown


def test_a_notebook_shows_that_an_object_was_closed() -> None:
    llm = LlamaCpp(model_path="/nowhere/model.gguf")
    llm.close()
    assert llm._repr_html_() == "<div><b>LlamaCpp</b>: this LlamaCpp was closed</div>"
