"""What one short completion costs through a lease, beside bare httpx: deadlines, watch and portal.

The model is so tiny that next to nothing but this overhead is left; with a real one it drowns.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_llm.engines.lease import Lease, lease
from safe_llm.engines.settings import EngineSettings
from safe_llm.engines.spec import LlamaServerSpec
from safe_llm.limits import Limits
from tests.benchmarks.alternation import alternate, middle
from tests.benchmarks.bare_client import BareClient, socket_of
from tests.benchmarks.figures import Figure
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROUNDS = 150
TOKENS = 16
_BODY = {"prompt": "hello", "n_predict": TOKENS, "stream": True}


def measure() -> list[Figure]:
    """Return the whole call, from a thread and from a task."""
    with tempfile.TemporaryDirectory() as folder:
        model = str(tiny_gguf(Path(folder)))
        spec = LlamaServerSpec(model_path=model, parameters=(("n_threads", 1),))
        with lease(spec, EngineSettings()) as engine, asyncio.Runner() as runner:
            engine.start(Limits())
            bare = BareClient(socket_of(engine))
            bare.complete(_BODY)
            theirs = partial(_timed, partial(bare.complete, _BODY))
            ours, beside = alternate(ROUNDS, partial(_timed, partial(_complete, engine)), theirs)
            task = partial(_timed_task, runner, engine, _BODY)
            ours_async, beside_async = alternate(ROUNDS, task, theirs)
    return [
        _figure("thread", ours, beside),
        _figure("asyncio", ours_async, beside_async),
    ]


def _figure(caller: str, ours: list[float], theirs: list[float]) -> Figure:
    return Figure(
        what=f"a call of {TOKENS} tokens, {caller}",
        unit="ms",
        ours=1000 * middle(ours),
        reference=1000 * middle(theirs),
        beside="bare httpx",
    )


def _complete(engine: Lease) -> None:
    engine.complete(_BODY, Limits())


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _timed_task(runner: asyncio.Runner, engine: Lease, body: Mapping[str, Any]) -> float:
    async def call() -> float:
        began = time.perf_counter()
        await engine.complete_async(body, Limits())
        return time.perf_counter() - began

    return runner.run(call())
