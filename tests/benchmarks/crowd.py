"""A thousand children that write 200 KB each: what owning them honestly costs beside a bare loop.

A child counts as done when it is closed: exited, drained, reaped, and swept for what it left. Each
of ours is started through ``setpriv``, where there is one, which doubles the work of ``execve``:
on a virtual machine whose host traps CPUID that alone is more than all the work of the loop.
"""

from __future__ import annotations

import resource
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import safe_llm
from safe_llm.process.hub import hub
from tests.benchmarks.alternation import alternate, middle
from tests.benchmarks.bare_loop import drain_all
from tests.benchmarks.figures import Figure, at_most
from tests.children import c_child

if TYPE_CHECKING:
    from collections.abc import Sequence

CHILDREN = 1000
SIZE = 200_000
ROUNDS = 5
BOUND = 120.0  # seconds for what takes a few
_STDERR = 2
_SAMPLED = 25  # children from one count of threads to the next: counting takes time too
_THREADS = Path("/proc/self/task")


class Crowd(NamedTuple):
    """One run: real seconds until the last child was closed, bytes, threads at the most."""

    seconds: float
    received: int
    threads: int


def measure() -> list[Figure]:
    """Return time and threads; the first run also starts what a process starts once."""
    _raise_descriptor_limit()
    before = _threads()
    with tempfile.TemporaryDirectory() as folder:
        argv = c_child("writer_64k", SIZE, _STDERR, cache=Path(folder))
        ours, theirs = alternate(ROUNDS, partial(_owned, argv), partial(_bare, argv))
    return [
        Figure(
            what=f"crowd of {CHILDREN} x {SIZE // 1000} KB",
            unit="s",
            ours=middle(run.seconds for run in ours),
            reference=middle(run.seconds for run in theirs),
            beside="bare selector loop",
            target=at_most(2.5),
            note=_missing(ours + theirs),
        ),
        Figure(
            what="crowd, threads more than before",
            unit="",
            ours=max(run.threads for run in ours) - before,
            target=at_most(4, "ours"),
        ),
        Figure(
            what="crowd, longest heartbeat gap of the hub",
            unit="s",
            ours=hub().statistics().heartbeat_gap,
        ),
    ]


def _owned(argv: Sequence[str]) -> Crowd:
    began = time.perf_counter()
    children, threads = [], 0
    for number in range(CHILDREN):
        children.append(safe_llm.spawn(argv))
        threads = threads if number % _SAMPLED else max(threads, _threads())
    for number, child in enumerate(children):
        child.closed.wait(BOUND)
        threads = threads if number % _SAMPLED else max(threads, _threads())
    seconds = time.perf_counter() - began
    return Crowd(seconds, sum(child.stderr.received_bytes for child in children), threads)


def _bare(argv: Sequence[str]) -> Crowd:
    began = time.perf_counter()
    received = drain_all(argv, CHILDREN, BOUND)
    return Crowd(time.perf_counter() - began, received, _threads())


def _missing(runs: Sequence[Crowd]) -> str:
    short = [run.received for run in runs if run.received != CHILDREN * SIZE]
    return f"bytes are missing: {short}" if short else ""


def _threads() -> int:
    """How many threads the kernel sees, whoever started them."""
    return len(list(_THREADS.iterdir()))


def _raise_descriptor_limit() -> None:
    """For the reference, which does not do it by itself: four descriptors a child."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
