"""The demo's facts as lines of text. Pure: prints nothing, and knows no terminal.

A line is text with marks of importance; what these look like is the business of ``screen.py``.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Literal, NamedTuple

from safe_llm.measure.columns import aligned
from safe_llm.observers.bars import render_bar

if TYPE_CHECKING:
    from safe_llm.cli.facts import DemoFacts, NaiveFacts, SafeFacts

Tone = Literal["plain", "strong", "bad", "good", "dim"]
_TEXT_WIDTH = 92


class Line(NamedTuple):
    """A line and how it is meant."""

    text: str
    tone: Tone = "plain"


_LEVELS = {3: "info", 4: "trace", 5: "debug"}


def level(verbosity: int) -> str:
    """Return a verbosity of llama-server as its users write and call it."""
    name = _LEVELS.get(verbosity)
    return f"-lv {verbosity} ({name})" if name else f"-lv {verbosity}"


def introduction(model: str, server: str) -> list[Line]:
    """Say what is about to run."""
    return [Line(f"model   {model}", "dim"), Line(f"server  {server}", "dim"), Line("")]


def naive_heading(number: int, verbosity: int) -> list[Line]:
    """Say what the naive orchestrator does."""
    return [
        Line(
            f"{number}. Popen(..., stderr=PIPE), and nobody reads it: {level(verbosity)}", "strong"
        ),
    ]


def meter(unread: int, capacity: int | None, answered: int, width: int) -> str:
    """Return the pipe and the answers so far in one line."""
    tail = f"  {unread:>7,} bytes unread, {answered} answered"
    fraction = None if not capacity else unread / capacity
    return f"{render_bar('   the pipe', fraction, width - len(tail))}{tail}"[:width]


def naive_verdict(facts: NaiveFacts) -> list[Line]:
    """Say how it ended."""
    if not facts.frozen:
        text = f"did not stand still in {facts.seconds:.0f} s, {facts.answered} requests answered"
        return [Line(f"   {text}; ended here", "plain"), Line("")]
    return [
        *_wrapped(_frozen_where(facts), "bad"),
        *_wrapped(f"/proc says: {facts.reason}" if facts.reason else "", "plain"),
        *_wrapped(f"/health says: {facts.health}", "plain"),
        Line(""),
    ]


def _frozen_where(facts: NaiveFacts) -> str:
    if not facts.became_ready:
        return (
            "frozen while it loads the model: its log is larger than the pipe, so it never becomes"
            " ready"
        )
    if not facts.answered:
        return "frozen: it became ready, and has not answered one request, nor ever will"
    return (
        f"frozen: {facts.answered} requests answered, the last one after"
        f" {facts.last_answer_at:.1f} s, and no other ever will be"
    )


def safe_heading(number: int, facts_of: tuple[int, int]) -> list[Line]:
    """Say what the same chain does now; ``facts_of`` are verbosity and requests."""
    verbosity, requests = facts_of
    title = f"{number}. safe_llm.langchain.LlamaCpp: {level(verbosity)}, {requests} requests"
    return [Line(title, "strong")]


def progress(done: int, total: int, drained: int, rate: float, width: int) -> str:
    """Return how far the requests are, in one line."""
    tail = f"  {done}/{total} answered, {drained:>9,} bytes drained, {rate:.0f} tokens/s"
    return f"{render_bar('   requests', done / total, width - len(tail))}{tail}"[:width]


def safe_verdict(facts: SafeFacts) -> list[Line]:
    """Say how it ended."""
    text = (
        f"answered {facts.answered} of {facts.requests}: {facts.drained_bytes:,} bytes of log"
        f" drained, {facts.tokens_per_second:.0f} tokens/s"
    )
    return [
        *_wrapped(text, "good"),
        *_wrapped(f"the first answer: {_first_line(facts.first_answer)!r}", "plain"),
        Line(""),
    ]


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")


def table(facts: DemoFacts) -> list[str]:
    """Return the summary: what goes to stdout."""
    head = ("orchestrator", "verbosity", "answered", "log bytes", "outcome")
    rows = [head, *map(_naive_row, facts.naive), _safe_row(facts.safe)]
    left = "nothing" if not facts.left_running else f"{facts.left_running} processes"
    return [*aligned(rows), f"left running: {left}"]


def _naive_row(facts: NaiveFacts) -> tuple[str, ...]:
    outcome = "frozen" if facts.became_ready else "frozen while loading"
    return (
        "unread pipe",
        level(facts.verbosity),
        f"{facts.answered}",
        f"{facts.unread_bytes:,} unread",
        outcome if facts.frozen else "ended by the demo",
    )


def _safe_row(facts: SafeFacts) -> tuple[str, ...]:
    return (
        "safe_llm",
        level(facts.verbosity),
        f"{facts.answered} of {facts.requests}",
        f"{facts.drained_bytes:,} drained",
        f"{facts.tokens_per_second:.0f} tokens/s",
    )


def _wrapped(text: str, tone: Tone) -> list[Line]:
    pieces = textwrap.wrap(text, _TEXT_WIDTH, initial_indent="   ", subsequent_indent="   ")
    return [Line(piece, tone) for piece in pieces]
