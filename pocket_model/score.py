"""Held-out scores on a real llama-server: ``python -m pocket_model.score [FILE.gguf]``.

Conversations are drawn from the corpus with a seed that training never had: the wordings are
those of the corpus, the values are new. An answer is right when it is the expected one exactly.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import httpx

import safe_llm
from pocket_model import bare, corpus
from pocket_model.conversation import unmarked
from pocket_model.vocabulary import CALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pocket_model.conversation import Conversation

BOUND = 60.0  # seconds for one answer
MAX_TOKENS = 600
SEED = 20_000_000  # training counts its seeds from 1
_PAUSE = 0.05


@dataclass(slots=True)
class Score:
    """How many answers of one kind were right, and how many arguments of calls."""

    asked: int = 0
    right: int = 0
    arguments: int = 0
    copied: int = 0
    endless: int = 0
    wrong: list[str] = field(default_factory=list)


@contextmanager
def served(model: Path) -> Iterator[httpx.Client]:
    """A client of a llama-server that has loaded the model, on a socket of its own."""
    with tempfile.TemporaryDirectory(prefix="pocket-") as folder:
        path = f"{folder}/s.sock"
        worker = (sys.executable, "-m", "safe_llm.worker.llama_server")
        flags = ("--parallel", "1", "--threads", "1", "--ctx-size", "4096")
        argv = (*worker, "-m", str(model), "--host", path, *flags)
        transport = httpx.HTTPTransport(uds=path)
        with (
            safe_llm.spawn(argv),
            httpx.Client(transport=transport, base_url="http://engine", timeout=BOUND) as client,
        ):
            _wait(client, path)
            yield client


def _wait(client: httpx.Client, path: str) -> None:
    until = time.monotonic() + BOUND
    while time.monotonic() < until:
        if _listens(path) and client.get("/health").is_success:
            return
        time.sleep(_PAUSE)
    raise TimeoutError(f"the server is not ready after {BOUND:.0f} s")


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as tried:
        return tried.connect_ex(path) == 0


def asked(client: httpx.Client, conversation: Conversation) -> tuple[Any, bool]:
    """Return what comes for the last answer, and whether it ended by itself."""
    request: dict[str, Any] = {"temperature": 0, "max_tokens": MAX_TOKENS, **conversation.options}
    if conversation.tools:
        request |= {"tools": conversation.tools, "parallel_tool_calls": True}
    request["messages"] = [
        as_sent(one, number) for number, one in enumerate(conversation.messages[:-1])
    ]
    choice = (
        client.post("/v1/chat/completions", json=request).raise_for_status().json()["choices"][0]
    )
    return said(choice["message"]), choice["finish_reason"] != "length"


def as_sent(message: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a message in the form that a server takes; ``number`` is its place."""
    sent = {**message, "content": unmarked(message["content"])}
    if "tool_calls" in sent:
        sent["tool_calls"] = [
            {"id": f"call{number}", "type": "function", **one} for one in sent["tool_calls"]
        ]
    if sent["role"] == "tool":
        sent["tool_call_id"] = f"call{number - 1}"
    return sent


def said(message: dict[str, Any]) -> Any:
    """Return an answer as it is compared: calls with parsed arguments, parsed JSON, or text."""
    calls = message.get("tool_calls")
    if calls:
        return [(one["function"]["name"], _parsed(one["function"]["arguments"])) for one in calls]
    text = unmarked(message.get("content") or "")
    if text.startswith(CALL):
        whole = json.loads(
            text.removeprefix(CALL).partition("</")[0], parse_float=str, parse_int=str
        )
        return [(whole["name"], whole["arguments"])]
    return _parsed(text) if text.startswith("{") else text


def _parsed(text: str) -> Any:
    try:
        # Numbers as they are written: 1.50 is not 1.5 here.
        return json.loads(text, parse_float=str, parse_int=str)
    except ValueError:
        return text


def measure(
    client: httpx.Client,
    kinds: Mapping[Callable[[Random], Conversation], float],
    each: int,
    seed: int,
) -> dict[str, Score]:
    """Ask so many questions of each kind."""
    scores: dict[str, Score] = {}
    for kind in kinds:
        score = scores[f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"] = Score()
        random = Random(f"{seed} {kind.__name__}")
        for _ in range(each):
            conversation = bare.maybe_bare(random, kind(random))
            if not conversation.raw:
                _count(score, conversation, *asked(client, conversation))
    return scores


def _count(score: Score, conversation: Conversation, got: Any, ended: bool) -> None:  # noqa: FBT001
    wanted = said(conversation.messages[-1])
    score.asked += 1
    score.right += got == wanted
    score.endless += not ended
    if got != wanted:
        question = unmarked(conversation.messages[-2].get("content") or "")
        score.wrong.append(f"{question!r}\n    wanted {wanted!r}\n    got    {got!r}")
    if isinstance(wanted, list):
        pairs = Counter(_arguments(wanted))
        score.arguments += pairs.total()
        score.copied += (pairs & Counter(_arguments(got))).total() if isinstance(got, list) else 0


def _arguments(calls: list[tuple[str, Any]]) -> list[tuple[str, str, str]]:
    return [
        (name, key, json.dumps(value))
        for name, arguments in calls
        if isinstance(arguments, dict)
        for key, value in arguments.items()
    ]


def lines(scores: Mapping[str, Score]) -> list[str]:
    """Return the scores as a table."""
    table = [f"{'kind':28} {'asked':>6} {'right':>6} {'%':>6}   arguments copied"]
    total = Score()
    for name, one in scores.items():
        if one.asked:
            table.append(_line(name, one))
        for key in ("asked", "right", "arguments", "copied", "endless"):
            setattr(total, key, getattr(total, key) + getattr(one, key))
    table.append(_line("all", total))
    if total.endless:
        table.append(f"{total.endless} answers had no end within {MAX_TOKENS} tokens")
    return table


def _line(name: str, one: Score) -> str:
    copied = (
        f"{one.copied} of {one.arguments} ({one.copied / one.arguments:.1%})"
        if one.arguments
        else ""
    )
    share = 100 * one.right / max(1, one.asked)
    return f"{name:28} {one.asked:6} {one.right:6} {share:6.1f}   {copied}".rstrip()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--each", type=int, default=50, help="questions of each kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--wrong", type=int, default=0, help="wrong answers to show of each kind")
    parser.add_argument("--kind", default="", help="only kinds whose name holds this")
    options = parser.parse_args()
    kinds = {
        one: 1.0 for one in corpus.EVERYTHING if options.kind in f"{one.__module__}.{one.__name__}"
    }
    with served(options.model or Path(str(safe_llm.pocket_model()))) as client:
        scores = measure(client, kinds, options.each, options.seed)
    for name, one in scores.items():
        for text in one.wrong[: options.wrong]:
            sys.stdout.write(f"{name}: {text}\n")
    sys.stdout.write("\n".join(lines(scores)) + "\n")


if __name__ == "__main__":
    main()
