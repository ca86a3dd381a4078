"""One child that writes as fast as it can: how much of the pipe's speed is left, and what it costs.

The reference is ``CHILD | cat > /dev/null``. Nobody takes what ours keeps: that is how an engine
logs, and the ring drops the oldest. A further figure has a consumer that takes everything. What it
costs stands beside a loop of bare ``os.read``, since most of it is the kernel's copying.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import safe_llm
from tests.benchmarks.alternation import alternate, middle
from tests.benchmarks.figures import Figure, at_least, at_most
from tests.children import c_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from safe_llm.process.output import Output

SIZE = 2 * 10**9
ROUNDS = 5
BOUND = 60.0  # seconds for what takes one
_GB = 1e9
_READ_BYTES = 64 * 1024


class Drained(NamedTuple):
    """One run: real seconds, and processor seconds of this process."""

    seconds: float
    cpu: float


def measure() -> list[Figure]:
    """Return speed and cost, with and without a consumer."""
    with tempfile.TemporaryDirectory() as folder:
        argv = c_child("writer_64k", SIZE, 1, cache=Path(folder))
        _through_safe_llm(argv, _leave)  # compiled, hub and watchdog started, caches warm
        ours, theirs = alternate(
            ROUNDS, partial(_through_safe_llm, argv, _leave), partial(_through_cat, argv)
        )
        bare = [_through_read(argv) for _ in range(ROUNDS)]
        taken = [_through_safe_llm(argv, _take_all) for _ in range(ROUNDS)]
    cat = SIZE / _GB / middle(run.seconds for run in theirs)
    return [
        Figure(
            what="drain, nobody reads",
            unit="GB/s",
            ours=SIZE / _GB / middle(run.seconds for run in ours),
            reference=cat,
            beside="cat > /dev/null",
            target=at_least(0.6),
        ),
        Figure(
            what="drain, cost",
            unit="CPU s/GB",
            ours=middle(run.cpu for run in ours) * _GB / SIZE,
            reference=middle(run.cpu for run in bare) * _GB / SIZE,
            beside="bare os.read",
            target=at_most(0.15, "ours"),
        ),
        Figure(
            what="drain, a thread takes all",
            unit="GB/s",
            ours=SIZE / _GB / middle(run.seconds for run in taken),
            reference=cat,
            beside="cat > /dev/null",
        ),
    ]


def _through_safe_llm(argv: list[str], consume: Callable[[Output], None]) -> Drained:
    began, cpu = time.perf_counter(), time.process_time()
    with safe_llm.spawn(argv, stdin="null") as child:
        consume(child.stdout)
        child.drained.wait(BOUND)
        return Drained(time.perf_counter() - began, time.process_time() - cpu)


def _through_cat(argv: list[str]) -> Drained:
    began = time.perf_counter()
    with (
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as writer,
        subprocess.Popen(["cat"], stdin=writer.stdout, stdout=subprocess.DEVNULL) as cat,
    ):
        if writer.stdout is not None:
            writer.stdout.close()
        cat.wait(BOUND)
        return Drained(time.perf_counter() - began, 0.0)


def _through_read(argv: list[str]) -> Drained:
    began, cpu = time.perf_counter(), time.process_time()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as writer:
        if writer.stdout is None:
            raise AssertionError(writer)
        while os.read(writer.stdout.fileno(), _READ_BYTES):
            pass
        return Drained(time.perf_counter() - began, time.process_time() - cpu)


def _leave(output: Output) -> None:
    """Take nothing."""


def _take_all(output: Output) -> None:
    def advance() -> bool:
        output.take_nowait()
        return output.exhausted

    output.changed.wait_until(advance, BOUND)
