"""``safe-llm demo``: the freeze and its cure, one after the other, and a table of both.

It reads /proc and kills the server that it froze. It downloads nothing, changes no file, takes no
byte out of the unread pipe, and leaves nothing running.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import anyio

from safe_llm.cli import render
from safe_llm.cli.demo_chain import TokenCount, as_llm, chain, question
from safe_llm.cli.facts import DemoFacts, NaiveFacts, SafeFacts
from safe_llm.cli.screen import Screen
from safe_llm.engines.binary import find_binary
from safe_llm.langchain import LlamaCpp
from safe_llm.measure.interrupts import made_whole
from safe_llm.measure.llama_server import CONTEXT_TOKENS, THREADS, begin, verbosity_flags
from safe_llm.measure.model import find_model
from safe_llm.measure.pipe import capacity_bytes
from safe_llm.measure.prompts import MAX_TOKENS
from safe_llm.measure.proof import watch
from safe_llm.measure.standstill import stands_still
from safe_llm.measure.subject import STREAMS
from safe_llm.measure.unread import Unread
from safe_llm.process.hub import hub

if TYPE_CHECKING:
    from safe_llm.engines.binary import Binary
    from safe_llm.measure.llama_server import LlamaServerTalk

_DEBUG, _TRACE = 5, 4  # llama-server's -lv: at 5 a load alone overfills the pipe, at 4 it does not
_BOUND = 60.0  # seconds for one naive run; idle machines need 2 (-lv 5) and 6 (-lv 4)
_PATIENCE = 60.0  # seconds for one answer: the bound of the run comes before


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
    flags = verbosity_flags(binary, verbosity)
    with (
        made_whole(begin(binary, model, flags)) as start,
        made_whole(Unread(start, STREAMS, ask)) as naive,
    ):
        facts = watch_it_freeze(screen, naive, verbosity)
    screen.show(render.naive_verdict(facts))
    return facts


def ask(talk: LlamaServerTalk, number: int) -> None:
    """Run the chain once, as a program without safe_llm would."""
    llm = as_llm(partial(talk.complete, until=time.monotonic() + _PATIENCE))
    chain(llm).invoke(question(number))


def watch_it_freeze(screen: Screen, naive: Unread[LlamaServerTalk], verbosity: int) -> NaiveFacts:
    """Watch the pipe fill until nothing moves any more."""
    capacity = capacity_bytes(naive.logs[-1])
    looks = []
    for look in watch(naive, seconds=_BOUND):
        looks.append(look)
        fraction = look.unread_bytes / capacity if capacity else 0.0
        screen.update(fraction, partial(render.meter, look.unread_bytes, capacity, look.answered))
    last = looks[-1]
    frozen = stands_still(looks)
    return NaiveFacts(
        verbosity=verbosity,
        became_ready=naive.ready_at is not None,
        answered=last.answered,
        last_answer_at=next(one.at for one in looks if one.answered == last.answered),
        seconds=last.at,
        unread_bytes=last.unread_bytes,
        capacity_bytes=capacity,
        frozen=frozen,
        reason=last.words if frozen else "",
        health=naive.talk.health() if frozen else "",
    )


def show_safe(screen: Screen, number: int, model: str, requests: int) -> SafeFacts:
    """Run the same chain through ``LlamaCpp``, at the verbosity that froze the other soonest."""
    screen.show(render.safe_heading(number, (_DEBUG, requests)))
    llm = LlamaCpp(
        model_path=model,
        n_ctx=CONTEXT_TOKENS,
        n_threads=THREADS,
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
