"""Streams that two read in turn, and the rows of a report that come of it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks.alternation import middle
from tests.benchmarks.figures import Figure, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.benchmarks.stopwatch import Stopwatch

_BESIDE = "bare httpx"


class Costing(NamedTuple):
    """A stream and what reading it cost this process, in microseconds."""

    watch: Stopwatch
    cpu_a_token: float


def costing(read: Callable[[], Stopwatch]) -> Costing:
    """Read a stream in this thread."""
    cpu = time.process_time()
    watch = read()
    return Costing(watch, 1e6 * (time.process_time() - cpu) / watch.tokens)


def watches(runs: Sequence[Costing]) -> list[Stopwatch]:
    """Return the times without the costs."""
    return [run.watch for run in runs]


async def several(
    streams: int,
    rounds: int,
    one: Callable[[], Awaitable[Stopwatch]],
    other: Callable[[], Awaitable[Stopwatch]],
) -> tuple[list[Stopwatch], list[Stopwatch]]:
    """Read ``streams`` of each at once, in turn, ``rounds`` times."""
    ones: list[Stopwatch] = []
    others: list[Stopwatch] = []

    async def run_one() -> None:
        ones.extend(await asyncio.gather(*(one() for _ in range(streams))))

    async def run_other() -> None:
        others.extend(await asyncio.gather(*(other() for _ in range(streams))))

    await run_other()  # fills the caches of all slots
    others.clear()
    for turn in range(rounds):
        for run in (run_one, run_other) if turn % 2 == 0 else (run_other, run_one):
            await run()
    return ones, others


def first_token(which: str, ours: Sequence[Stopwatch], theirs: Sequence[Stopwatch]) -> Figure:
    """Return how long the first token took."""
    return Figure(
        what=f"first token, {which}",
        unit="ms",
        ours=middle(1000 * run.first_token for run in ours),
        reference=middle(1000 * run.first_token for run in theirs),
        beside=_BESIDE,
        target=at_most(1.03),
    )


def speed(which: str, ours: Sequence[Stopwatch], theirs: Sequence[Stopwatch]) -> Figure:
    """Return the tokens a second of one stream among them."""
    return Figure(
        what=f"tokens a second, {which}",
        unit="1/s",
        ours=middle(run.tokens_a_second for run in ours),
        reference=middle(run.tokens_a_second for run in theirs),
        beside=_BESIDE,
        target=at_least(0.97),
    )


def processor_time(which: str, ours: Sequence[Costing], theirs: Sequence[Costing]) -> Figure:
    """Return what reading a token costs the process that reads."""
    return Figure(
        what=f"processor time a token, {which}",
        unit="us",
        ours=middle(run.cpu_a_token for run in ours),
        reference=middle(run.cpu_a_token for run in theirs),
        beside=_BESIDE,
    )
