"""One child that writes as fast as it can: how much of the pipe's speed is left, and what it costs.

The reference is ``CHILD | cat > /dev/null``. Nobody takes what ours keeps: that is how an engine
logs, and the ring drops the oldest. A further figure has a consumer that takes everything. What it
costs stands beside a loop of bare ``os.read``: most of it is the kernel's. It is measured twice,
the second time with everybody on one processor, because what the kernel takes to wake a reader on
another one differs by a factor of six from run to run on a virtual machine.
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
from tests.benchmarks.figures import Figure, Target, at_least, at_most
from tests.benchmarks.processors import on_one_processor
from tests.children import c_child

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    """Return speed with and without a consumer, and cost on any and on one processor."""
    with tempfile.TemporaryDirectory() as folder:
        argv = c_child("writer_64k", SIZE, 1, cache=Path(folder))
        ours = partial(_through_safe_llm, argv, _leave)
        ours()  # compiled, hub and watchdog started, caches warm
        left, cat = alternate(ROUNDS, ours, partial(_through_cat, argv))
        taken = [_through_safe_llm(argv, _take_all) for _ in range(ROUNDS)]
        spread = alternate(ROUNDS, ours, partial(_through_read, argv))
        with on_one_processor():
            together = alternate(ROUNDS, ours, partial(_through_read, argv))
    return [
        _speed("nobody reads", left, cat, at_least(0.6)),
        _speed("a thread takes all", taken, cat, None),
        _cost("cost", *spread),
        _cost("cost on one processor", *together),
    ]


def _speed(
    how: str, ours: Sequence[Drained], theirs: Sequence[Drained], target: Target | None
) -> Figure:
    return Figure(
        what=f"drain, {how}",
        unit="GB/s",
        ours=SIZE / _GB / middle(run.seconds for run in ours),
        reference=SIZE / _GB / middle(run.seconds for run in theirs),
        beside="cat > /dev/null",
        target=target,
    )


def _cost(how: str, ours: Sequence[Drained], theirs: Sequence[Drained]) -> Figure:
    return Figure(
        what=f"drain, {how}",
        unit="CPU s/GB",
        ours=middle(run.cpu for run in ours) * _GB / SIZE,
        reference=middle(run.cpu for run in theirs) * _GB / SIZE,
        beside="bare os.read",
        target=at_most(0.15, "ours"),
    )


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
