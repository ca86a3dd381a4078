"""llama-cpp-python as a subject: our worker, whose protocol leaves both streams to the library."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_llm.engines.interpreter import worker_command
from safe_llm.engines.llama_cpp_program import require_library
from safe_llm.errors import ProtocolViolation
from safe_llm.limits import MiB
from safe_llm.measure.llama_server import CONTEXT_TOKENS, THREADS
from safe_llm.measure.prompts import MAX_TOKENS, prompt
from safe_llm.measure.subject import LLAMA_CPP, STREAMS, NoAnswer, Start, Subject
from safe_llm.process.command import Command
from safe_llm.protocol.worker import REPLIES_VARIABLE, Reply, ReplyReader, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from safe_llm.measure.subject import Wire

_LOAD = 0  # the number of the first request
_MAX_REPLY_BYTES = 16 * MiB  # a model's metadata holds its chat template


def subjects(model: str) -> list[Subject]:
    """Return what the library can be measured as; raise ``MissingExtra`` where it is absent."""
    require_library()
    return [
        Subject(
            engine=LLAMA_CPP,
            verbosity=name,
            setting=f"verbose={verbose}",
            model=Path(model).stem,
            logs=STREAMS,
            begin=partial(begin, model, verbose=verbose),
        )
        for name, verbose in (("on", True), ("off", False))
    ]


@contextmanager
def begin(model: str, *, verbose: bool) -> Iterator[Start[LlamaCppTalk]]:
    """Prepare a worker."""
    argv, env = worker_command("llama_cpp")
    command = Command(argv, env=env, replies=REPLIES_VARIABLE, unbuffered=None)
    loading = {
        "model_path": model,
        "parameters": {"n_ctx": CONTEXT_TOKENS, "n_threads": THREADS},
        "verbose": verbose,
    }
    yield Start(command, partial(LlamaCppTalk, loading))


class LlamaCppTalk:
    """Has a worker load a model, and asks it for completions."""

    def __init__(self, loading: Mapping[str, Any], wire: Wire) -> None:
        self._loading = loading
        self._wire = wire
        self._reader = ReplyReader(_MAX_REPLY_BYTES, peer=LLAMA_CPP)
        self._replies: deque[Reply] = deque()

    def wait_ready(self, until: float) -> None:
        """Have the model loaded."""
        self._request(_LOAD, "load", self._loading, until)

    def ask(self, number: int, until: float) -> None:
        """Have a prompt continued."""
        arguments = {"prompt": prompt(number), "max_tokens": MAX_TOKENS, "temperature": 0}
        self._request(number + 1, "complete", arguments, until)

    def _request(self, number: int, do: str, arguments: Mapping[str, Any], until: float) -> None:
        self._wire.send(encode(number, do, arguments))
        while True:
            reply = self._next_reply(until)
            if reply.kind == "error":
                raise NoAnswer(f"it refused to {do}: {reply.data.get('message')}")
            if (reply.id, reply.kind) == (number, "done"):
                return

    def _next_reply(self, until: float) -> Reply:
        while not self._replies:
            data = self._wire.receive(until)
            try:
                self._replies.extend(self._reader.feed(data))
            except ProtocolViolation as error:
                raise NoAnswer(error.what_happened()) from error
        return self._replies.popleft()
