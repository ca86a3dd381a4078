"""The references for the worker: a process that calls llama-cpp-python itself, told what to do.

Its log goes where it costs least, to ``/dev/null``. Nothing of ours has a part in it: it is started
and spoken to as by hand, over bare pipes, and killed when it takes too long.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tests.benchmarks.footprint import processor_time
from tests.benchmarks.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

BOUND = 120.0  # seconds for a job or for loading, each of which takes about one
_PROGRAM = "tests.benchmarks.in_process_program"


class Job(NamedTuple):
    """An answer at temperature 0. ``fresh`` forgets what is known of the prompt."""

    prompt: str
    tokens: int
    fresh: bool = False
    endless: bool = True  # never ends by itself; costs a look at all logits for each token
    chat: bool = False  # the prompt is what a user says to an assistant


class Run(NamedTuple):
    """One completion as its reader saw it, in seconds; its cost in microseconds a token."""

    text: str
    first_token: float
    tokens_a_second: float
    call: float
    engine_cpu: float  # processor time of the process that generates
    caller_cpu: float = 0.0  # and of the one that reads, where it is another


class Embedded(NamedTuple):
    """Texts that became vectors: how many a second, and the last of them."""

    rate: float
    last: list[float]


def read_here(pieces: Iterable[str], job: Job, *, pid: int) -> Run:
    """Read in this process what the process ``pid`` generates; asking for it is part of that."""
    engine_cpu, caller_cpu = processor_time(pid), time.process_time()
    watch, text = Stopwatch(), ""
    for piece in pieces:
        watch.heard(piece)
        text += piece
    caller_cpu = time.process_time() - caller_cpu
    engine_cpu = processor_time(pid) - engine_cpu
    return Run(
        text,
        watch.first_token,
        watch.tokens_a_second,
        watch.age,
        engine_cpu=1e6 * engine_cpu / job.tokens,
        caller_cpu=1e6 * caller_cpu / job.tokens,
    )


class InProcess:
    """A program with a model of its own, loaded when this is made; ``with`` ends it."""

    def __init__(self, model: str, parameters: Mapping[str, Any]) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", _PROGRAM, model, json.dumps(parameters)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self._child.pid
        with self._bounded():
            self._hear()

    def complete(self, job: Job) -> Run:
        """Have it do a job and read its stream itself: nothing is said until it is done."""
        cpu = processor_time(self.pid)
        with self._bounded():
            self._tell(job, aloud=False)
            saw = self._hear()
        cpu = processor_time(self.pid) - cpu
        return Run(
            saw["text"],
            saw["first_token"],
            saw["tokens_a_second"],
            saw["call"],
            engine_cpu=1e6 * cpu / job.tokens,
        )

    def recite(self, job: Job) -> Run:
        """Have it write each piece as a line of JSON, and read those here: no less can be done."""
        with self._bounded():
            return read_here(self._recited(job), job, pid=self.pid)

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Have it make vectors of texts, and time that itself."""
        with self._bounded():
            self._write({"texts": list(texts)})
            saw = self._hear()
        return Embedded(len(texts) / saw["seconds"], saw["last"])

    def _recited(self, job: Job) -> Iterator[str]:
        self._tell(job, aloud=True)
        while (piece := self._hear().get("piece")) is not None:
            yield piece

    def _tell(self, job: Job, *, aloud: bool) -> None:
        self._write({**job._asdict(), "aloud": aloud})

    def _write(self, what: Mapping[str, Any]) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(what).encode() + b"\n")
        self._child.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"the reference has ended with {self._child.wait(BOUND)}")
        said: dict[str, Any] = json.loads(line)
        return said

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        killer = Timer(BOUND, self._child.kill)
        killer.start()
        try:
            yield
        finally:
            killer.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._child, self._bounded():
            self._child.communicate()
