"""What ends the interpreter where llama-cpp-python runs inside of it, and here ends one call.

The control is the library as ``langchain_community.llms.LlamaCpp`` uses it: a ``llama_cpp.Llama``
with nothing between it and its callers. A control has to die by a signal, not by an exception.
(That class itself, 0.4.2, dies in ``gather``, in a ``RunnableParallel`` and in threads, its chat
class in ``batch`` too. Its own ``batch`` survives: it asks one prompt after the other.)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm import EngineDied
from safe_llm.langchain import LlamaCpp
from tests.engine_kinds import LLAMA_CPP_PYTHON, becomes_idle
from tests.llama_engine import BOUND, comes_true, pid_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ORIGINAL = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
import llama_cpp

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
llm = llama_cpp.Llama(sys.argv[1], n_threads=1, n_ctx=2048, verbose=False)
"""
_SIMULTANEOUS = """
def ask(number):
    for _ in range(20):
        with suppress(RuntimeError):  # of a call that was disturbed; what is wanted is the end
            llm(f"question {number}", max_tokens=200)

with ThreadPoolExecutor(int(sys.argv[2])) as pool:
    list(pool.map(ask, range(int(sys.argv[2]))))
print("survived")
"""
_STREAM = """
for _ in llm("hello", max_tokens=-1, stream=True):
    print("in a call", flush=True)
print("survived")
"""


@contextmanager
def _original(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    # Without its own backtrace, for which llama.cpp starts a debugger.
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", _ORIGINAL + program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def llm(model: Path) -> Iterator[LlamaCpp]:
    """Ours, with one worker: what comes at the same time waits for its turn."""
    with LlamaCpp(
        engine=LLAMA_CPP_PYTHON.name,
        model_path=str(model),
        n_threads=1,
        max_tokens=5,
        temperature=0.0,
        verbose=False,
    ) as made:
        made.start()
        yield made


@pytest.mark.parametrize("count", [3, 16])
def test_the_original_does_not_survive_simultaneous_calls(count: int, model: Path) -> None:
    with _original(_SIMULTANEOUS, model, count) as control:
        said, _ = control.communicate(timeout=BOUND)
        assert said == ""
        assert control.returncode in {-signal.SIGSEGV, -signal.SIGABRT}


def test_the_original_does_not_survive_the_death_of_the_process_with_its_model(
    model: Path,
) -> None:
    with _original(_STREAM, model) as control:
        assert control.stdout is not None
        assert control.stdout.readline() == "in a call\n"
        control.kill()
        assert "survived" not in control.stdout.read()
        assert control.wait(BOUND) == -signal.SIGKILL


def test_three_simultaneous_calls_are_answered(llm: LlamaCpp) -> None:
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(llm.invoke, ["one", "two", "three"], timeout=BOUND))
    assert [len(one) for one in answers] == [5] * 3


def test_a_batch_of_sixteen_is_answered_though_its_worker_is_killed_in_the_middle(
    llm: LlamaCpp,
) -> None:
    """The death costs the one call that the worker was at, and that one is told."""
    prompts: list[Any] = [f"question {number}" for number in range(16)]
    pid = pid_of(llm.engine)
    with ThreadPoolExecutor(1) as pool:
        longer = llm.bind(max_tokens=100)
        batch = pool.submit(longer.batch, prompts, {"max_concurrency": 16}, return_exceptions=True)
        assert comes_true(lambda: llm.engine.status().calls_in_flight >= 8)
        os.killpg(pid, signal.SIGKILL)
        answers: list[Any] = batch.result(2 * BOUND)
    died = [one for one in answers if isinstance(one, EngineDied)]
    assert len(died) <= 1  # none, where it was between two calls
    assert [len(one) for one in answers if one not in died] == [100] * (16 - len(died))
    assert becomes_idle(llm.engine)
    assert pid_of(llm.engine) != pid
    assert llm.engine.status().restarts == 1
