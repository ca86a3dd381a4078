"""``safe-llm demo``: the freeze and its cure, one after the other, and a table of both.

It reads /proc and kills the server that it froze. It downloads nothing, changes no file, takes no
byte out of the unread pipe, and leaves nothing running.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import anyio

from safe_llm.cli import render
from safe_llm.cli.demo_chain import MAX_TOKENS, TokenCount, chain, question
from safe_llm.cli.demo_model import find_model
from safe_llm.cli.facts import DemoFacts, NaiveFacts, SafeFacts
from safe_llm.cli.interrupts import held_interrupts
from safe_llm.cli.naive import NaiveOrchestrator
from safe_llm.cli.screen import Screen
from safe_llm.cli.standstill import Look, capacity_bytes, look_at, stands_still
from safe_llm.engines.binary import Binary, find_binary
from safe_llm.engines.endpoint import open_endpoint
from safe_llm.engines.llama_server_flags import flags_for
from safe_llm.langchain import LlamaCpp
from safe_llm.process.hub import hub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safe_llm.engines.endpoint import Endpoint

_DEBUG, _TRACE = 5, 4  # llama-server's -lv: at 5 a load alone overfills the pipe, at 4 it does not
_CONTEXT = 2048  # tokens: the questions are short
# Threads of an engine wait for one another by spinning: as many as there are logical processors
# made 30 requests take 58 s on a busy machine, half of them 12 s; on an idle one it makes no odds.
_THREADS = max(1, (os.cpu_count() or 2) // 2)
_BOUND = 60.0  # seconds for one naive run; idle machines need 2 (-lv 5) and 6 (-lv 4)
_INTERVAL = 0.1  # seconds between two looks


def run(*, requests: int, model: str | None, as_json: bool) -> None:
    """Show both; print the table, or JSON, to stdout. Raises ``SafeLlmError``."""
    screen = Screen()
    path = find_model(model)
    binary = anyio.run(find_binary, None)
    screen.show(render.introduction(path, f"{' '.join(binary.argv)} ({binary.origin})"))
    naive = tuple(
        show_naive(screen, number, binary, path, verbosity)
        for number, verbosity in enumerate((_DEBUG, _TRACE), start=1)
    )
    safe = show_safe(screen, len(naive) + 1, path, requests)
    facts = DemoFacts(
        model=path,
        server=binary.origin,
        naive=naive,
        safe=safe,
        left_running=len(hub().children),
    )
    text = json.dumps(facts.as_json(), indent=2) if as_json else "\n".join(render.table(facts))
    sys.stdout.write(text + "\n")


def show_naive(
    screen: Screen, number: int, binary: Binary, model: str, verbosity: int
) -> NaiveFacts:
    """Run the naive orchestrator until it stands still, at most ``_BOUND`` seconds."""
    screen.show(render.naive_heading(number, verbosity))
    made = ExitStack()
    try:
        with held_interrupts():
            endpoint = open_endpoint("llama-server", sockets=binary.knows_sockets)
            made.callback(endpoint.clean_up)
            argv = _naive_argv(binary, endpoint, model, verbosity)
            naive = made.enter_context(NaiveOrchestrator(argv, dict(binary.env), endpoint))
        facts = watch(screen, naive, verbosity)
    finally:
        with held_interrupts():
            made.close()
    screen.show(render.naive_verdict(facts))
    return facts


def _naive_argv(binary: Binary, endpoint: Endpoint, model: str, verbosity: int) -> list[str]:
    parameters = {
        "model": model,
        "n_ctx": _CONTEXT,
        "n_threads": _THREADS,
        "n_parallel": 1,
        "verbosity": verbosity,
    }
    flags = flags_for(parameters, binary.known_flags, program="llama-server")
    return [*binary.argv, *endpoint.host_arguments, *flags]


def watch(screen: Screen, naive: NaiveOrchestrator, verbosity: int) -> NaiveFacts:
    """Watch the pipe fill until nothing moves any more."""
    capacity = capacity_bytes(naive.log_descriptor)
    looks: list[Look] = []
    for look in _looks(naive):
        looks.append(look)
        fraction = look.unread_bytes / capacity if capacity else 0.0
        screen.update(fraction, partial(render.meter, look.unread_bytes, capacity, look.answered))
        if stands_still(looks):
            break
    last = looks[-1]
    frozen = stands_still(looks)
    return NaiveFacts(
        verbosity=verbosity,
        became_ready=naive.is_ready,
        answered=last.answered,
        last_answer_at=next(one.at for one in looks if one.answered == last.answered),
        seconds=last.at,
        unread_bytes=last.unread_bytes,
        capacity_bytes=capacity,
        frozen=frozen,
        reason=last.words if frozen else "",
        health=naive.ask_health() if frozen else "",
    )


def _looks(naive: NaiveOrchestrator) -> Iterator[Look]:
    began = time.monotonic()
    at = 0.0
    while at < _BOUND and naive.process.poll() is None:
        at = time.monotonic() - began
        yield look_at(naive.process.pid, naive.log_descriptor, at=at, answered=naive.answered)
        time.sleep(_INTERVAL)


def show_safe(screen: Screen, number: int, model: str, requests: int) -> SafeFacts:
    """Run the same chain through ``LlamaCpp``, at the verbosity that froze the other soonest."""
    screen.show(render.safe_heading(number, (_DEBUG, requests)))
    llm = LlamaCpp(
        model_path=model,
        n_ctx=_CONTEXT,
        n_threads=_THREADS,
        n_parallel=1,
        max_tokens=MAX_TOKENS,
        temperature=0,
        server_args=("-lv", str(_DEBUG)),
        verbose=False,
    )
    with llm:
        facts = answer_all(screen, llm, requests)
    screen.show(render.safe_verdict(facts))
    return facts


def answer_all(screen: Screen, llm: LlamaCpp, requests: int) -> SafeFacts:
    """Ask all questions, one after the other, as the naive orchestrator does."""
    began = time.monotonic()
    llm.start()
    ready = time.monotonic()
    counting, asking, answers = TokenCount(), chain(llm), []
    for number in range(requests):
        answers.append(asking.invoke(question(number), config={"callbacks": [counting]}))
        drained = llm.engine.status().stderr_bytes
        rate = counting.tokens / (time.monotonic() - ready)
        done = number + 1
        draw = partial(render.progress, done, requests, drained, rate)
        screen.update(done / requests, draw)
    status = llm.engine.status()
    return SafeFacts(
        verbosity=_DEBUG,
        requests=requests,
        answered=len(answers),
        start_seconds=ready - began,
        seconds=time.monotonic() - ready,
        tokens=counting.tokens,
        drained_bytes=status.stderr_bytes + status.stdout_bytes,
        dropped_bytes=status.dropped_bytes,
        first_answer=answers[0],
    )
