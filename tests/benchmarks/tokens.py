"""First token and tokens a second through ``LlamaCpp``, beside bare httpx on the same server.

The model is SmolLM2-135M, the request the very same body, at temperature 0; one stream read by a
thread, then four at once read by tasks of one event loop. The engine computes with one thread: its
threads wait for each other spinning, and one that is kept from a processor holds up all.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from safe_llm.langchain import LlamaCpp
from tests.benchmarks.alternation import alternate, middle
from tests.benchmarks.bare_client import BareAsyncClient, BareClient, socket_of
from tests.benchmarks.figures import Figure, at_least, at_most
from tests.benchmarks.stopwatch import Stopwatch
from tests.models import smollm2_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

STREAMS = 4
TOKENS = 64
ROUNDS = 10
_PROMPT = (
    "The pipe between two processes is a small buffer in the kernel. When it is full, a process"
    " that writes to it waits until somebody reads. Explain what happens to a server whose log"
    " nobody reads, and how one can tell it from a server that is only slow."
)
_FRESH = {"cache_prompt": False, "max_tokens": 8}  # evaluated anew by each call, as a user's is
_BESIDE = "bare httpx"


def measure() -> list[Figure]:
    """Return both times, for one stream and for several."""
    with LlamaCpp(
        model_path=str(smollm2_path()),
        temperature=0.0,
        max_tokens=TOKENS,
        n_parallel=STREAMS,
        n_threads=1,
        model_kwargs={"ignore_eos": True},
        verbose=False,
    ) as model:
        model.start()
        bare = BareClient(socket_of(model.engine))
        fresh, fresh_theirs = _one_by_one(model, bare, _FRESH)
        ours, theirs = _one_by_one(model, bare, {})
        many, many_theirs = asyncio.run(_several(model, _body(model, {})))
    return [
        _first_token("fresh prompt", _watches(fresh), _watches(fresh_theirs)),
        _first_token("known prompt", _watches(ours), _watches(theirs)),
        _speed("one stream", _watches(ours), _watches(theirs)),
        Figure(
            what="processor time a token, one stream",
            unit="us",
            ours=middle(run.cpu_a_token for run in ours),
            reference=middle(run.cpu_a_token for run in theirs),
            beside=_BESIDE,
        ),
        _first_token(f"{STREAMS} streams", many, many_theirs),
        _speed(f"{STREAMS} streams", many, many_theirs),
    ]


class Costing(NamedTuple):
    """A stream and what reading it cost this process, in microseconds."""

    watch: Stopwatch
    cpu_a_token: float


def _first_token(which: str, ours: Sequence[Stopwatch], theirs: Sequence[Stopwatch]) -> Figure:
    return Figure(
        what=f"first token, {which}",
        unit="ms",
        ours=middle(1000 * run.first_token for run in ours),
        reference=middle(1000 * run.first_token for run in theirs),
        beside=_BESIDE,
        target=at_most(1.03),
    )


def _speed(which: str, ours: Sequence[Stopwatch], theirs: Sequence[Stopwatch]) -> Figure:
    return Figure(
        what=f"tokens a second, {which}",
        unit="1/s",
        ours=middle(run.tokens_a_second for run in ours),
        reference=middle(run.tokens_a_second for run in theirs),
        beside=_BESIDE,
        target=at_least(0.97),
    )


def _watches(runs: Sequence[Costing]) -> list[Stopwatch]:
    return [run.watch for run in runs]


def _body(model: LlamaCpp, call: Mapping[str, Any]) -> dict[str, Any]:
    return {**model._request(None, call).for_prompt(_PROMPT), "stream": True}


def _one_by_one(
    model: LlamaCpp, bare: BareClient, call: Mapping[str, Any]
) -> tuple[list[Costing], list[Costing]]:
    """One stream after the other, ours and theirs in turn."""
    ours = partial(_costing, partial(_stream, model, call))
    theirs = partial(_costing, partial(bare.complete, _body(model, call)))
    theirs()  # a prompt that may be in the cache is there from now on, for both
    return alternate(ROUNDS, ours, theirs)


def _costing(read: Callable[[], Stopwatch]) -> Costing:
    cpu = time.process_time()
    watch = read()
    return Costing(watch, 1e6 * (time.process_time() - cpu) / watch.tokens)


def _stream(model: LlamaCpp, call: Mapping[str, Any]) -> Stopwatch:
    watch = Stopwatch()
    for piece in model.stream(_PROMPT, **call):
        watch.heard(piece)
    return watch


async def _several(
    model: LlamaCpp, body: Mapping[str, Any]
) -> tuple[list[Stopwatch], list[Stopwatch]]:
    bare = BareAsyncClient(socket_of(model.engine))
    ours: list[Stopwatch] = []
    theirs: list[Stopwatch] = []

    async def run_ours() -> None:
        ours.extend(await asyncio.gather(*(_astream(model) for _ in range(STREAMS))))

    async def run_theirs() -> None:
        theirs.extend(await asyncio.gather(*(bare.complete(body) for _ in range(STREAMS))))

    await run_theirs()  # fills the caches of all slots
    theirs.clear()
    for turn in range(ROUNDS):
        for run in (run_ours, run_theirs) if turn % 2 == 0 else (run_theirs, run_ours):
            await run()
    await bare.http.aclose()
    return ours, theirs


async def _astream(model: LlamaCpp) -> Stopwatch:
    watch = Stopwatch()
    async for piece in model.astream(_PROMPT):
        watch.heard(piece)
    return watch
