"""The reference for the worker: a process that calls llama-cpp-python itself, told what to do.

It measures itself: the loop that reads the tokens is in the process that makes them, as in a user's
program. What is said to it and by it goes through pipes before and after a job, never during one.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import safe_llm
from tests.benchmarks.footprint import processor_time

if TYPE_CHECKING:
    from collections.abc import Mapping

BOUND = 120.0  # seconds for a job, which takes about one, or for loading
_PROGRAM = "tests.benchmarks.in_process_program"


class Job(NamedTuple):
    """A completion at temperature 0. ``fresh`` forgets what is known of the prompt."""

    prompt: str
    tokens: int
    fresh: bool = False
    endless: bool = True  # never ends by itself; costs a look at all logits for each token


class Run(NamedTuple):
    """One completion: seconds, and microseconds of processor a token."""

    text: str
    first_token: float
    tokens_a_second: float
    engine_cpu: float  # of the process that generates
    caller_cpu: float = 0.0  # of the one that reads, where it is another


class InProcess:
    """A program with a model of its own, loaded when this is made; ``with`` ends it."""

    def __init__(self, model: str, parameters: Mapping[str, Any]) -> None:
        command = [sys.executable, "-m", _PROGRAM, model, json.dumps(parameters)]
        self._child = safe_llm.spawn(command)
        self._lines = self._child.stdout.lines(BOUND)
        self.pid = self._child.pid
        self._hear()

    def complete(self, job: Job) -> Run:
        """Have it do one job."""
        cpu = processor_time(self.pid)
        self._child.stdin.write(json.dumps(job._asdict()).encode() + b"\n")
        said = json.loads(self._hear())
        cpu = 1e6 * (processor_time(self.pid) - cpu) / said["tokens"]
        return Run(said["text"], said["first_token"], said["tokens_a_second"], cpu)

    def _hear(self) -> str:
        for line in self._lines:
            return line
        raise RuntimeError(f"the reference has ended: {self._child.last_words()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._child.__exit__(None, None, None)
