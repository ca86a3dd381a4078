"""First token and tokens a second through ``ChatLlamaCpp``, at 1, 4 and 8 calls at once.

Beside it bare httpx sends the very same body to the same server; and the same library without a
server, llama-cpp-python, answers in the process that calls it, where one call is all there can be.
The model is SmolLM2-135M at temperature 0, computed with one thread; see ``tokens``.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from safe_llm.langchain import ChatLlamaCpp
from tests.benchmarks.alternation import alternate, middle
from tests.benchmarks.bare_client import BareAsyncClient, BareClient, socket_of
from tests.benchmarks.figures import Figure
from tests.benchmarks.in_process import InProcess, Job, Run, read_here
from tests.benchmarks.stopwatch import Stopwatch
from tests.benchmarks.streams import (
    costing,
    first_token,
    processor_time,
    several,
    speed,
    watches,
)
from tests.models import smollm2_path

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE = (4, 8)
TOKENS = 32
ROUNDS = 10
ROUNDS_AT_ONCE = 4
_ASKED = (
    "Explain what happens to a server whose log nobody reads, and how one can tell it from a"
    " server that is only slow."
)
_LOADED: dict[str, Any] = {"n_ctx": 1024, "n_batch": 512, "n_threads": 1}
_JOB = Job(_ASKED, tokens=TOKENS, chat=True)


def measure() -> list[Figure]:
    """Return times and costs of one call, and the speed of several."""
    with ChatLlamaCpp(
        model_path=str(smollm2_path()),
        engine="llama-server",
        temperature=0.0,
        repeat_penalty=1.0,
        max_tokens=TOKENS,
        n_parallel=max(AT_ONCE),
        model_kwargs={"ignore_eos": True},
        verbose=False,
        **_LOADED,
    ) as model:
        model.start()
        return [*_of_one(model), *_in_process(model), *asyncio.run(_of_several(model))]


def _of_one(model: ChatLlamaCpp) -> list[Figure]:
    bare = BareClient(socket_of(model.engine))
    theirs = partial(bare.converse, _body(model))
    theirs()  # the prompt is in the cache from now on, for both
    ours, beside = alternate(
        ROUNDS, partial(costing, partial(_stream, model)), partial(costing, theirs)
    )
    return [
        first_token("chat, one call", watches(ours), watches(beside)),
        speed("chat, one call", watches(ours), watches(beside)),
        processor_time("chat, one call", ours, beside),
    ]


def _in_process(model: ChatLlamaCpp) -> list[Figure]:
    with InProcess(str(smollm2_path()), {**_LOADED, "n_threads_batch": 1}) as reference:
        reference.complete(_JOB)
        ours, theirs = alternate(
            ROUNDS, partial(_read_here, model), partial(reference.complete, _JOB)
        )
    return [
        _beside_the_library(
            "first token, chat",
            "ms",
            [1000 * one.first_token for one in ours],
            [1000 * one.first_token for one in theirs],
        ),
        _beside_the_library(
            "tokens a second, chat",
            "1/s",
            [one.tokens_a_second for one in ours],
            [one.tokens_a_second for one in theirs],
        ),
    ]


def _beside_the_library(what: str, unit: str, ours: list[float], theirs: list[float]) -> Figure:
    """Two builds of llama.cpp: the ratio is theirs more than ours."""
    return Figure(
        what=what, unit=unit, ours=middle(ours), reference=middle(theirs), beside="in process"
    )


def _read_here(model: ChatLlamaCpp) -> Run:
    pid = model.engine.status().pid
    assert pid is not None
    return read_here(_texts(model), _JOB, pid=pid)


async def _of_several(model: ChatLlamaCpp) -> list[Figure]:
    bare = BareAsyncClient(socket_of(model.engine))
    figures: list[Figure] = []
    for count in AT_ONCE:
        ours, theirs = await several(
            count, ROUNDS_AT_ONCE, partial(_astream, model), partial(bare.converse, _body(model))
        )
        which = f"chat, {count} calls"
        figures += [first_token(which, ours, theirs), speed(which, ours, theirs)]
    await bare.http.aclose()
    return figures


def _body(model: ChatLlamaCpp) -> dict[str, Any]:
    messages = [{"role": "user", "content": _ASKED}]
    return {**model._request(None, {}).for_messages(messages), "stream": True}


def _texts(model: ChatLlamaCpp) -> Iterator[str]:
    return (piece.text for piece in model.stream(_ASKED))


def _stream(model: ChatLlamaCpp) -> Stopwatch:
    watch = Stopwatch()
    for text in _texts(model):
        watch.heard(text)
    return watch


async def _astream(model: ChatLlamaCpp) -> Stopwatch:
    watch = Stopwatch()
    async for piece in model.astream(_ASKED):
        watch.heard(piece.text)
    return watch
