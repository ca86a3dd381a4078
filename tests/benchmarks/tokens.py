"""First token and tokens a second through ``LlamaCpp``, beside bare httpx on the same server.

The model is SmolLM2-135M, the request the very same body, at temperature 0; one stream read by a
thread, then four at once read by tasks of one event loop. The engine computes with one thread: its
threads wait for each other spinning, and one that is kept from a processor holds up all.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from safe_llm.langchain import LlamaCpp
from tests.benchmarks.alternation import alternate
from tests.benchmarks.bare_client import BareAsyncClient, BareClient, socket_of
from tests.benchmarks.stopwatch import Stopwatch
from tests.benchmarks.streams import (
    Costing,
    costing,
    first_token,
    processor_time,
    several,
    speed,
    watches,
)
from tests.models import smollm2_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.benchmarks.figures import Figure

STREAMS = 4
TOKENS = 64
ROUNDS = 10
_PROMPT = (
    "The pipe between two processes is a small buffer in the kernel. When it is full, a process"
    " that writes to it waits until somebody reads. Explain what happens to a server whose log"
    " nobody reads, and how one can tell it from a server that is only slow."
)
_FRESH = {"cache_prompt": False, "max_tokens": 8}  # evaluated anew by each call, as a user's is


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
        many, many_theirs = asyncio.run(_several(model))
    return [
        first_token("fresh prompt", watches(fresh), watches(fresh_theirs)),
        first_token("known prompt", watches(ours), watches(theirs)),
        speed("one stream", watches(ours), watches(theirs)),
        processor_time("one stream", ours, theirs),
        first_token(f"{STREAMS} streams", many, many_theirs),
        speed(f"{STREAMS} streams", many, many_theirs),
    ]


def _body(model: LlamaCpp, call: Mapping[str, Any]) -> dict[str, Any]:
    return {**model._request(None, call).for_prompt(_PROMPT), "stream": True}


def _one_by_one(
    model: LlamaCpp, bare: BareClient, call: Mapping[str, Any]
) -> tuple[list[Costing], list[Costing]]:
    """One stream after the other, ours and theirs in turn."""
    ours = partial(costing, partial(_stream, model, call))
    theirs = partial(costing, partial(bare.complete, _body(model, call)))
    theirs()  # a prompt that may be in the cache is there from now on, for both
    return alternate(ROUNDS, ours, theirs)


def _stream(model: LlamaCpp, call: Mapping[str, Any]) -> Stopwatch:
    watch = Stopwatch()
    for piece in model.stream(_PROMPT, **call):
        watch.heard(piece)
    return watch


async def _several(model: LlamaCpp) -> tuple[list[Stopwatch], list[Stopwatch]]:
    bare = BareAsyncClient(socket_of(model.engine))
    found = await several(
        STREAMS, ROUNDS, partial(_astream, model), partial(bare.complete, _body(model, {}))
    )
    await bare.http.aclose()
    return found


async def _astream(model: LlamaCpp) -> Stopwatch:
    watch = Stopwatch()
    async for piece in model.astream(_PROMPT):
        watch.heard(piece)
    return watch
