"""How long a line takes from the hub to whoever waits for it, and there and back again.

The hub's clock starts when a chunk has been read, before anybody is woken. A round trip goes
through a child that answers each line with itself; bare blocking pipes and asyncio's own pipes do
the same beside it.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

import safe_llm
from tests.benchmarks.alternation import alternate, middle
from tests.benchmarks.figures import Figure
from tests.children import python_child

if TYPE_CHECKING:
    from safe_llm.process.child import Child

ROUNDS = 8
TRIPS = 500
WARM_UP = 100
BOUND = 10.0  # seconds for one line
_LINE = b"x\n"
_MICRO = 1e-3  # of a nanosecond's count


def measure() -> list[Figure]:
    """Return wake-ups and round trips of a thread and of a task, in microseconds."""
    thread, pipes = alternate(ROUNDS, _thread, _bare_pipes)
    task, asyncio_pipes = alternate(
        ROUNDS, lambda: asyncio.run(_task()), lambda: asyncio.run(_asyncio_pipes())
    )
    return [
        Figure(what="hub to a waiting thread", unit="us", ours=middle(r.wake for r in thread)),
        Figure(what="hub to a waiting asyncio task", unit="us", ours=middle(r.wake for r in task)),
        Figure(
            what="a line there and back, thread",
            unit="us",
            ours=middle(run.trip for run in thread),
            reference=middle(pipes),
            beside="bare blocking pipes",
        ),
        Figure(
            what="a line there and back, asyncio",
            unit="us",
            ours=middle(run.trip for run in task),
            reference=middle(asyncio_pipes),
            beside="asyncio's pipes",
        ),
    ]


class Medians(NamedTuple):
    """Of one run, in microseconds: from the hub to the reader, and from the reader to himself."""

    wake: float
    trip: float


class _Times:
    """Nanoseconds of wake-ups and of round trips."""

    def __init__(self, child: Child) -> None:
        self.read_at = self.sent_at = 0
        self.wakes: list[int] = []
        self.trips: list[int] = []
        child.stdout.tap = self._note_read  # runs on the hub, before it wakes anybody

    def _note_read(self, chunk: bytes) -> None:
        del chunk
        self.read_at = time.perf_counter_ns()

    def send(self, child: Child) -> None:
        self.sent_at = time.perf_counter_ns()
        child.stdin.write(_LINE)

    def got(self) -> None:
        now = time.perf_counter_ns()
        self.wakes.append(now - self.read_at)
        self.trips.append(now - self.sent_at)

    def medians(self) -> Medians:
        return Medians(_median(self.wakes), _median(self.trips))


def _thread() -> Medians:
    with safe_llm.spawn(python_child("echo")) as child:
        times, lines = _Times(child), child.stdout.lines(BOUND)
        for _ in range(TRIPS):
            times.send(child)
            next(lines)
            times.got()
    return times.medians()


async def _task() -> Medians:
    async with safe_llm.spawn(python_child("echo")) as child:
        times, lines = _Times(child), child.stdout.lines(BOUND)
        for _ in range(TRIPS):
            times.send(child)
            await anext(lines)
            times.got()
    return times.medians()


def _bare_pipes() -> float:
    trips = []
    with subprocess.Popen(
        python_child("echo"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as child:
        if child.stdin is None or child.stdout is None:
            raise AssertionError(child)
        for _ in range(TRIPS):
            began = time.perf_counter_ns()
            child.stdin.write(_LINE)
            child.stdout.readline()
            trips.append(time.perf_counter_ns() - began)
    return _median(trips)


async def _asyncio_pipes() -> float:
    trips = []
    child = await asyncio.create_subprocess_exec(
        *python_child("echo"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    if child.stdin is None or child.stdout is None:
        raise AssertionError(child)
    for _ in range(TRIPS):
        began = time.perf_counter_ns()
        child.stdin.write(_LINE)
        await asyncio.wait_for(child.stdout.readline(), BOUND)
        trips.append(time.perf_counter_ns() - began)
    child.stdin.close()
    await asyncio.wait_for(child.wait(), BOUND)
    return _median(trips)


def _median(nanoseconds: list[int]) -> float:
    return middle(nanoseconds[WARM_UP:]) * _MICRO
