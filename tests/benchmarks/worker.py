"""The llama-cpp-python worker beside the same library in a process that calls it itself.

Same wheel, file, threads, context and batch, same completion at temperature 0. Each reads its
stream where a user would: ours in this process, the reference in the process that generates. Both
have the library's log on (``verbose``), as it is unasked and always is in a worker; ours is read
here, the reference's goes nowhere, and what it costs stands beside a call without.

With a model so tiny that next to nothing is left of it, the difference is what our layers cost. So
that one sees what of it is ours and what nobody is spared whose model is in another process, the
reference also writes its tokens into a bare pipe, from which this process reads them.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

from safe_llm.engines.lease import Lease, lease
from safe_llm.engines.settings import EngineSettings
from safe_llm.engines.spec import LlamaCppPythonSpec
from safe_llm.limits import Limits
from tests.benchmarks.alternation import alternate, middle
from tests.benchmarks.figures import Figure, at_least, at_most
from tests.benchmarks.footprint import memory_of
from tests.benchmarks.in_process import InProcess, Job, Run, read_here
from tests.models import smollm2_path, tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 40
_PARAMETERS = {"n_ctx": 2048, "n_batch": 512, "n_threads": 1, "n_threads_batch": 1}
_PROMPT = (
    "The pipe between two processes is a small buffer in the kernel. When it is full, a process"
    " that writes to it waits until somebody reads. Explain what happens to a server whose log"
    " nobody reads, and how one can tell it from a server that is only slow."
)
_FRESH = Job(_PROMPT, tokens=2, fresh=True)
_KNOWN = Job(_PROMPT, tokens=32)
_TINY = Job("hello", tokens=256, endless=False)  # that model never ends by itself
_SHORT = _TINY._replace(tokens=2)
_IN_PROCESS = "in process"
_BARE_PIPE = "bare pipe"
_CPU = "tiny model, processor time a token"
_MB = 1e6


def measure() -> list[Figure]:
    """Return times and memory with a real model, and what our layers and the log cost a token."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_of_a_model(str(smollm2_path())), *_of_our_layers(str(tiny_gguf(Path(folder))))]


class Pair(NamedTuple):
    """The same job, done several times by each of two, in turn."""

    ones: list[Run]
    others: list[Run]

    def figure(self, what: str, unit: str, of: Callable[[Run], float], **more: Any) -> Figure:
        """Return the medians of both."""
        return Figure(
            what=what,
            unit=unit,
            ours=middle(map(of, self.ones)),
            reference=middle(map(of, self.others)),
            note=self._note(of) if "target" in more else "",
            **{"beside": _IN_PROCESS, **more},
        )

    def _note(self, of: Callable[[Run], float]) -> str:
        """How far the runs that followed each other disagree: the noise of this machine."""
        if len({run.text for run in self.ones + self.others}) > 1:
            return "the texts differ: this compares nothing"
        ratios = [of(one) / of(other) for one, other in zip(self.ones, self.others, strict=True)]
        low, median, high = quantiles(ratios, n=4)
        return f"run by run {median:.3f}, half of the runs between {low:.2f} and {high:.2f}"


def _of_a_model(model: str) -> list[Figure]:
    with _worker(model) as engine, InProcess(model, _PARAMETERS) as reference:
        fresh = _compare(engine, reference, _FRESH)
        known = _compare(engine, reference, _KNOWN)
        piped = _compare_with_pipe(engine, reference, _KNOWN, ROUNDS // 3)
        ours, theirs = memory_of(_pid(engine)), memory_of(reference.pid)
    return [
        fresh.figure("first token, fresh prompt", "ms", _first_token, target=at_most(1.03)),
        known.figure("first token, known prompt", "ms", _first_token),
        known.figure("tokens a second", "1/s", _tokens_a_second, target=at_least(0.97)),
        piped.figure("processor time a token, who reads", "us", _caller_cpu, beside=_BARE_PIPE),
        _memory("private", ours.private, theirs.private),
        _memory("with its share of the file", ours.proportional, theirs.proportional),
    ]


def _of_our_layers(model: str) -> list[Figure]:
    with _worker(model) as engine, InProcess(model, _PARAMETERS) as reference:
        token = _compare(engine, reference, _TINY)
        call = _compare(engine, reference, _SHORT)
        piped = _compare_with_pipe(engine, reference, _TINY, ROUNDS)
        log = _with_and_without_log(reference, model)
    return [
        token.figure("tiny model, a token", "us", _micros_a_token),
        piped.figure("tiny model, a token over a pipe", "us", _micros_a_token, beside=_BARE_PIPE),
        token.figure(f"{_CPU}, who generates", "us", _engine_cpu),
        piped.figure(f"{_CPU}, who generates and writes", "us", _engine_cpu, beside=_BARE_PIPE),
        piped.figure(f"{_CPU}, who reads", "us", _caller_cpu, beside=_BARE_PIPE),
        call.figure(f"tiny model, a call of {_SHORT.tokens} tokens", "ms", _call),
        log.figure("the same call in process, with the log", "ms", _call, beside="without"),
    ]


def _with_and_without_log(reference: InProcess, model: str) -> Pair:
    with InProcess(model, {**_PARAMETERS, "verbose": False}) as silent:
        silent.complete(_SHORT)
        return Pair(
            *alternate(
                ROUNDS, partial(reference.complete, _SHORT), partial(silent.complete, _SHORT)
            )
        )


def _first_token(run: Run) -> float:
    return 1000 * run.first_token


def _tokens_a_second(run: Run) -> float:
    return run.tokens_a_second


def _micros_a_token(run: Run) -> float:
    return 1e6 / run.tokens_a_second


def _call(run: Run) -> float:
    return 1000 * run.call


def _engine_cpu(run: Run) -> float:
    return run.engine_cpu


def _caller_cpu(run: Run) -> float:
    return run.caller_cpu


def _memory(which: str, ours: int, theirs: int) -> Figure:
    """Private is what another worker would take; for the file's pages both have half of them.

    What is resident would count those pages, and the libraries', once for each.
    """
    return Figure(
        what=f"memory of the worker, {which}",
        unit="MB",
        ours=ours / _MB,
        reference=theirs / _MB,
        beside=_IN_PROCESS,
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


def _compare_with_pipe(engine: Lease, reference: InProcess, job: Job, rounds: int) -> Pair:
    ours, theirs = partial(_through_the_worker, engine, job), partial(reference.recite, job)
    return Pair(*alternate(rounds, ours, theirs))


def _through_the_worker(engine: Lease, job: Job) -> Run:
    return read_here(_streamed(engine, job), job, pid=_pid(engine))


def _streamed(engine: Lease, job: Job) -> Iterator[str]:
    body = {
        "prompt": job.prompt,
        "n_predict": job.tokens,
        "temperature": 0.0,
        "ignore_eos": job.endless,
        "cache_prompt": not job.fresh,
    }
    for piece in engine.stream(body, Limits()):
        yield piece.text
