"""How soon a slot is free when the reader of a stream has left, in each way in which one leaves.

Beside it a bare httpx client closes its response; both are asked about on ``/slots`` alike.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from safe_llm.langchain import LlamaCpp
from tests.benchmarks.alternation import alternate, middle
from tests.benchmarks.bare_client import BareClient, socket_of
from tests.benchmarks.figures import Figure, at_most
from tests.models import smollm2_path

if TYPE_CHECKING:
    from collections.abc import Mapping

ROUNDS = 8
TOKENS = 2000
BOUND = 30.0  # seconds in which a slot has to be free at the latest
_PROMPT = "Once upon a time"
_LEAVE_AFTER = 5
_LOOK = 0.005  # seconds between two looks at the slots; a look takes one


def measure() -> list[Figure]:
    """Return the times of a ``break`` and of a cancelled task."""
    with LlamaCpp(
        model_path=str(smollm2_path()),
        max_tokens=TOKENS,
        n_ctx=2 * TOKENS,
        model_kwargs={"ignore_eos": True},
        verbose=False,
    ) as model:
        model.start()
        bare = BareClient(socket_of(model.engine))
        body = {**model._request(None, {}).for_prompt(_PROMPT), "stream": True}
        theirs = partial(_close_response, bare, body)
        broken, closed = alternate(ROUNDS, partial(_break, model, bare), theirs)
        cancelled = [asyncio.run(_cancel_task(model, bare)) for _ in range(ROUNDS)]
    return [_figure("break", broken, closed), _figure("task cancelled", cancelled, closed)]


def _figure(how: str, ours: list[float], theirs: list[float]) -> Figure:
    return Figure(
        what=f"slot free after {how}",
        unit="s",
        ours=middle(ours),
        reference=middle(theirs),
        beside="bare httpx",
        target=at_most(0.3, "ours"),
        note=f"the slowest of {len(ours)} took {max(ours):.3f} s",
    )


def _break(model: LlamaCpp, bare: BareClient) -> float:
    for number, _ in enumerate(model.stream(_PROMPT)):
        if number == _LEAVE_AFTER:
            break
    return _until_idle(bare)


async def _cancel_task(model: LlamaCpp, bare: BareClient) -> float:
    generating = asyncio.Event()

    async def read() -> None:
        async for _ in model.astream(_PROMPT):
            generating.set()

    task = asyncio.create_task(read())
    await asyncio.wait_for(generating.wait(), BOUND)
    task.cancel()
    return await asyncio.to_thread(_until_idle, bare)


def _close_response(bare: BareClient, body: Mapping[str, Any]) -> float:
    with bare.http.stream("POST", "/completion", json=body) as answer:
        for number, _ in enumerate(answer.iter_lines()):
            if number == _LEAVE_AFTER:
                break
    return _until_idle(bare)


def _until_idle(bare: BareClient) -> float:
    began = time.perf_counter()
    while time.perf_counter() - began < BOUND and bare.busy_slots():
        time.sleep(_LOOK)
    return time.perf_counter() - began
