"""``ChatLlamaCpp`` beside what the original calls: the same words, and none of its faults.

The original is llama-cpp-python's ``create_chat_completion`` in a process of its own, as
``langchain_community.chat_models.ChatLlamaCpp`` calls it: same wheel, same file, same parameters.
Where it has to die as a control, it dies by a signal, not by an exception.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import safe_llm
from safe_llm.langchain import ChatLlamaCpp
from tests.engine_kinds import KINDS, LLAMA_CPP_PYTHON, LLAMA_SERVER, becomes_idle
from tests.llama_engine import BOUND, pid_of
from tests.models import smollm2_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engine_kinds import Kind

pytestmark = pytest.mark.timeout(120)  # up to 135 M parameters on one thread, two times

LOADED = {"n_ctx": 1024, "n_threads": 1, "seed": 1}
# What the original says in every call, at temperature 0.
SAID = {"temperature": 0.0, "max_tokens": 32, "top_p": 0.95, "top_k": 40, "repeat_penalty": 1.1}
CONVERSATIONS: list[list[dict[str, Any]]] = [
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "user", "content": "Write one sentence about the sea."}],
    [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "My name is Ann."},
        {"role": "assistant", "content": "Hello, Ann!"},
        {"role": "user", "content": "What is my name?"},
    ],
    [{"role": "user", "content": "Say naïve café 東京 🙂 once."}],
]

_ORIGINAL = """
import json, resource, sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
import llama_cpp

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
path, loaded, said, conversations = sys.argv[1], *map(json.loads, sys.argv[2:])
llm = llama_cpp.Llama(path, n_threads_batch=1, verbose=False, **loaded)

def ask(messages):
    answer = llm.create_chat_completion(messages, **said)
    return answer["choices"][0]["message"]["content"], answer["usage"]
"""
_ONE_BY_ONE = """
print(json.dumps([ask(one) for one in conversations]))
"""
_AT_ONCE = """
def disturbed(messages):
    for _ in range(20):
        with suppress(RuntimeError):  # of a call that was disturbed; what is wanted is the end
            ask(messages)

with ThreadPoolExecutor(16) as pool:
    list(pool.map(disturbed, conversations * 4))
print("survived")
"""


def _original(program: str, model: Path, **said: Any) -> subprocess.CompletedProcess[str]:
    given = (json.dumps(one) for one in (LOADED, {**SAID, **said}, CONVERSATIONS))
    return subprocess.run(
        [sys.executable, "-c", _ORIGINAL + program, str(model), *given],
        check=False,
        capture_output=True,
        # Without its own backtrace, for which llama.cpp starts a debugger.
        env={**os.environ, "GGML_NO_BACKTRACE": "1"},
        text=True,
        timeout=6 * BOUND,
    )


def _answers_of_the_original(model: Path, **said: Any) -> list[tuple[str, dict[str, int]]]:
    done = _original(_ONE_BY_ONE, model, **said)
    assert done.returncode == 0, done.stderr
    return [(text, usage) for text, usage in json.loads(done.stdout)]


def made(kind: Kind, model: Path, **fields: Any) -> ChatLlamaCpp:
    given = {**LOADED, **SAID, "model_path": str(model), "engine": kind.name, "verbose": False}
    return ChatLlamaCpp(**{**given, **fields})


@pytest.fixture(scope="module")
def chat() -> Iterator[ChatLlamaCpp]:
    with made(LLAMA_CPP_PYTHON, safe_llm.pocket_model()) as ours:
        ours.start()
        yield ours


@pytest.fixture(scope="module")
def originals() -> list[tuple[str, dict[str, int]]]:
    """What the original answers, and what it says that this cost."""
    return _answers_of_the_original(safe_llm.pocket_model())


def test_the_text_is_that_of_the_original_however_it_is_asked_for(
    chat: ChatLlamaCpp, originals: list[tuple[str, dict[str, int]]]
) -> None:
    expected = [text for text, _ in originals]
    assert [chat.invoke(one).text for one in CONVERSATIONS] == expected
    assert ["".join(piece.text for piece in chat.stream(one)) for one in CONVERSATIONS] == expected
    assert [asyncio.run(chat.ainvoke(one)).text for one in CONVERSATIONS] == expected
    without = chat.model_copy(update={"streaming": False})
    assert [without.invoke(one).text for one in CONVERSATIONS] == expected


@pytest.mark.smollm2
def test_a_real_model_says_the_same_words_too() -> None:
    expected = [text for text, _ in _answers_of_the_original(smollm2_path())]
    with made(LLAMA_CPP_PYTHON, smollm2_path()) as ours:
        assert [ours.invoke(one).text for one in CONVERSATIONS] == expected


@pytest.mark.smollm2
def test_llama_server_begins_as_the_original_does() -> None:
    """Another build of llama.cpp, and its penalties count the prompt too: so none of those here."""
    expected = _answers_of_the_original(smollm2_path(), repeat_penalty=1.0)
    with made(LLAMA_SERVER, smollm2_path(), repeat_penalty=1.0) as ours:
        begun = [ours.invoke(one).text[:5] for one in CONVERSATIONS]
    assert begun == [text[:5] for text, _ in expected]


def test_the_cost_is_told_as_the_original_counts_it(
    chat: ChatLlamaCpp, originals: list[tuple[str, dict[str, int]]]
) -> None:
    """Through LangChain it tells none, and it never counts the token by which a model ends."""
    for conversation, (_, usage) in zip(CONVERSATIONS, originals, strict=True):
        answer = chat.invoke(conversation)
        told = answer.usage_metadata
        assert told is not None
        assert told["input_tokens"] == usage["prompt_tokens"]
        ending = int(answer.response_metadata["finish_reason"] == "stop")
        assert told["output_tokens"] == usage["completion_tokens"] + ending


def test_sixteen_at_once_end_the_original_and_are_answered_here(
    chat: ChatLlamaCpp, originals: list[tuple[str, dict[str, int]]]
) -> None:
    control = _original(_AT_ONCE, safe_llm.pocket_model())
    assert "survived" not in control.stdout
    assert control.returncode in {-signal.SIGSEGV, -signal.SIGABRT}
    pid = pid_of(chat.engine)
    questions: list[Any] = CONVERSATIONS * 4
    answers = chat.batch(questions, {"max_concurrency": 16})
    assert [one.text for one in answers] == [text for text, _ in originals] * 4
    assert pid_of(chat.engine) == pid


def test_a_stop_string_of_the_call_is_obeyed_when_streaming(chat: ChatLlamaCpp) -> None:
    asked: Any = CONVERSATIONS[2]
    text = chat.invoke(asked).text
    stop = text[3]
    expected = text[: text.index(stop)]
    assert chat.streaming
    assert chat.invoke(asked, stop=[stop]).text == expected
    assert "".join(one.text for one in chat.stream(asked, stop=[stop])) == expected


def test_a_call_that_is_left_burns_no_processor(chat: ChatLlamaCpp) -> None:
    for _ in chat.stream(CONVERSATIONS[0], max_tokens=-1, ignore_eos=True):
        break
    assert becomes_idle(chat.engine)  # its threads sleep


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_what_the_model_file_says_is_overridden_only_by_who_says_so(kind: Kind) -> None:
    overrides = {"rope_freq_base": 500_000.0, "rope_freq_scale": 0.5, "n_batch": 64}

    def sent(**fields: Any) -> set[str]:
        model = made(kind, safe_llm.pocket_model(), **fields)
        spec: Any = model._engine_spec()
        return {name for name in overrides if name in str(spec.parameters)}

    assert sent() == set()
    assert sent(**overrides) == {*overrides}


def test_loading_leaves_the_event_loop_free() -> None:
    async def turns_during_the_first_call(model: ChatLlamaCpp) -> int:
        call = asyncio.create_task(model.ainvoke(CONVERSATIONS[0]))
        turns = 0
        while not call.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert call.result().text
        return turns

    with made(LLAMA_CPP_PYTHON, safe_llm.pocket_model(), n_ctx=512) as ours:
        assert ours.engine.status().pid is None  # its constructor has loaded nothing
        assert asyncio.run(turns_during_the_first_call(ours)) > 20
