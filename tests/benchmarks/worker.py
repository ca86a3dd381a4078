"""The llama-cpp-python worker beside the same library in a process that calls it itself.

Same wheel, file, threads, context and batch, same completion at temperature 0. Both read their
stream where a user would: ours in this process, the reference in the process that generates. Both
log as the library does unasked (``verbose``) into a pipe that is emptied here; what the log itself
costs stands beside it. With a model so tiny that next to nothing is left of it, the difference is
what a token costs in our layers.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safe_llm.engines.lease import Lease, lease
from safe_llm.engines.settings import EngineSettings
from safe_llm.engines.spec import LlamaCppPythonSpec
from safe_llm.limits import Limits
from tests.benchmarks.alternation import alternate, middle
from tests.benchmarks.figures import Figure, at_least, at_most
from tests.benchmarks.footprint import memory_of, processor_time
from tests.benchmarks.in_process import InProcess, Job, Run
from tests.benchmarks.stopwatch import Stopwatch
from tests.models import smollm2_path, tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 20
_PARAMETERS = {"n_ctx": 2048, "n_batch": 512, "n_threads": 1, "n_threads_batch": 1}
_PROMPT = (
    "The pipe between two processes is a small buffer in the kernel. When it is full, a process"
    " that writes to it waits until somebody reads. Explain what happens to a server whose log"
    " nobody reads, and how one can tell it from a server that is only slow."
)
_FRESH = Job(_PROMPT, tokens=8, fresh=True)
_KNOWN = Job(_PROMPT, tokens=64)
_TINY = Job("hello", tokens=256, endless=False)  # that model never ends by itself
_BESIDE = "in process"
_MB = 1e6


def measure() -> list[Figure]:
    """Return times and memory with a real model, and what our layers and the log cost a token."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_of_a_model(str(smollm2_path())), *_of_our_layers(str(tiny_gguf(Path(folder))))]


class Pair(NamedTuple):
    """The same job, done several times by each of two."""

    ones: list[Run]
    others: list[Run]

    def figure(self, what: str, unit: str, of: Callable[[Run], float], **more: Any) -> Figure:
        """Return the medians of both."""
        differ = len({run.text for run in self.ones + self.others}) > 1
        return Figure(
            what=what,
            unit=unit,
            ours=middle(map(of, self.ones)),
            reference=middle(map(of, self.others)),
            note="the texts differ: this compares nothing" if differ else "",
            **{"beside": "in process", **more},
        )


def _of_a_model(model: str) -> list[Figure]:
    with _worker(model) as engine, InProcess(model, _PARAMETERS) as reference:
        fresh = _compare(engine, reference, _FRESH)
        known = _compare(engine, reference, _KNOWN)
        ours, theirs = memory_of(_pid(engine)), memory_of(reference.pid)
    return [
        fresh.figure("first token, fresh prompt", "ms", _first_token, target=at_most(1.03)),
        known.figure("first token, known prompt", "ms", _first_token),
        known.figure("tokens a second", "1/s", _tokens_a_second, target=at_least(0.97)),
        _memory("private", ours.private, theirs.private),
        _memory("with its share of the file", ours.proportional, theirs.proportional),
    ]


def _of_our_layers(model: str) -> list[Figure]:
    quiet = {**_PARAMETERS, "verbose": False}
    with _worker(model) as engine, InProcess(model, _PARAMETERS) as reference:
        tiny = _compare(engine, reference, _TINY)
        with InProcess(model, quiet) as silent:
            log = Pair(
                *alternate(
                    ROUNDS, partial(reference.complete, _TINY), partial(silent.complete, _TINY)
                )
            )
    return [
        tiny.figure("a token of a tiny model", "us", _micros_a_token),
        tiny.figure("the same, processor time of who generates", "us", _engine_cpu),
        Figure(
            what="the same, processor time of our caller's process",
            unit="us",
            ours=middle(run.caller_cpu for run in tiny.ones),
        ),
        log.figure("the same in process, with the log", "us", _micros_a_token, beside="without"),
    ]


def _first_token(run: Run) -> float:
    return 1000 * run.first_token


def _tokens_a_second(run: Run) -> float:
    return run.tokens_a_second


def _micros_a_token(run: Run) -> float:
    return 1e6 / run.tokens_a_second


def _engine_cpu(run: Run) -> float:
    return run.engine_cpu


def _memory(which: str, ours: int, theirs: int) -> Figure:
    """Both map the same file, so that each has half of its pages for its share."""
    return Figure(
        what=f"memory of the worker, {which}",
        unit="MB",
        ours=ours / _MB,
        reference=theirs / _MB,
        beside="in process",
    )


@contextmanager
def _worker(model: str) -> Iterator[Lease]:
    with lease(LlamaCppPythonSpec.of(model, _PARAMETERS), EngineSettings()) as engine:
        engine.start(Limits())
        yield engine


def _pid(engine: Lease) -> int:
    pid = engine.status().pid
    assert pid is not None
    return pid


def _compare(engine: Lease, reference: InProcess, job: Job) -> Pair:
    ours, theirs = partial(_through_the_worker, engine, job), partial(reference.complete, job)
    ours()  # a prompt that may be known is known from now on, to both
    theirs()
    return Pair(*alternate(ROUNDS, ours, theirs))


def _through_the_worker(engine: Lease, job: Job) -> Run:
    body = {
        "prompt": job.prompt,
        "n_predict": job.tokens,
        "temperature": 0.0,
        "ignore_eos": job.endless,
        "cache_prompt": not job.fresh,
    }
    pid = _pid(engine)
    engine_cpu, caller_cpu = processor_time(pid), time.process_time()
    watch, text = Stopwatch(), ""
    for piece in engine.stream(body, Limits()):
        watch.heard(piece.text)
        text += piece.text
    caller_cpu = time.process_time() - caller_cpu
    engine_cpu = processor_time(pid) - engine_cpu
    return Run(
        text,
        watch.first_token,
        watch.tokens_a_second,
        engine_cpu=1e6 * engine_cpu / watch.tokens,
        caller_cpu=1e6 * caller_cpu / watch.tokens,
    )
