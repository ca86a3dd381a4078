"""llama-server as a subject: it speaks HTTP, over a socket, so both its streams are log."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from safe_llm.engines.endpoint import open_endpoint
from safe_llm.engines.llama_server_flags import flags_for
from safe_llm.measure.prompts import MAX_TOKENS, prompt
from safe_llm.measure.subject import LLAMA_SERVER, STREAMS, NoAnswer, Start, Subject
from safe_llm.process.command import Command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from safe_llm.engines.binary import Binary
    from safe_llm.engines.endpoint import Endpoint
    from safe_llm.measure.subject import Wire

CONTEXT_TOKENS = 2048  # the prompts are short
# Threads of an engine wait for one another by spinning: as many as there are logical processors
# made 30 requests take 58 s on a busy machine, half of them 12 s; on an idle one it makes no odds.
THREADS = max(1, (os.cpu_count() or 2) // 2)

_POLL = 0.05  # seconds between two looks whether it is ready
_HEALTH_TIMEOUT = 1.0
_OK = 200


def subjects(binary: Binary, model: str) -> list[Subject]:
    """Return what this binary can be measured as."""
    settings: dict[str, tuple[str, ...]] = {
        "default": (),
        "4": verbosity_flags(binary, 4),
        "debug": verbosity_flags(binary, 5),
        # Where there is no flag for silence, 0 leaves what has no level.
        "off": ("--log-disable",)
        if "--log-disable" in binary.known_flags
        else verbosity_flags(binary, 0),
    }
    return [
        Subject(
            engine=LLAMA_SERVER,
            verbosity=name,
            setting=" ".join(flags),
            model=Path(model).stem,
            logs=STREAMS,
            begin=partial(begin, binary, model, flags),
        )
        for name, flags in settings.items()
    ]


def verbosity_flags(binary: Binary, level: int) -> tuple[str, ...]:
    """Return the flags that ask this binary for a verbosity."""
    if "-lv" in binary.known_flags:
        return ("-lv", str(level))
    return tuple(flags_for({"verbosity": level}, binary.known_flags, program=LLAMA_SERVER))


@contextmanager
def begin(binary: Binary, model: str, flags: Sequence[str]) -> Iterator[Start[LlamaServerTalk]]:
    """Prepare a llama-server at an address of its own, which nobody has after the block."""
    endpoint = open_endpoint(LLAMA_SERVER, sockets=binary.knows_sockets)
    try:
        key = {"LLAMA_API_KEY": endpoint.api_key} if endpoint.api_key else {}
        command = Command(
            [*binary.argv, *endpoint.host_arguments, *_parameters(binary, model), *flags],
            env={**dict(binary.env), **key},
            stdin="null",
            unbuffered=None,
        )
        yield Start(command, partial(LlamaServerTalk, endpoint))
    finally:
        endpoint.clean_up()


def _parameters(binary: Binary, model: str) -> list[str]:
    parameters = {
        "model": model,
        "n_ctx": CONTEXT_TOKENS,
        "n_threads": THREADS,
        "n_parallel": 1,
    }
    return flags_for(parameters, binary.known_flags, program=LLAMA_SERVER)


class LlamaServerTalk:
    """Asks a llama-server for completions, each over a connection of its own."""

    def __init__(self, endpoint: Endpoint, wire: Wire) -> None:
        self._endpoint = endpoint
        self._wire = wire

    def wait_ready(self, until: float) -> None:
        """Ask for its health until it is well."""
        while not self._is_ready(until):
            if self._wire.has_ended:
                raise NoAnswer("it ended before it was ready")
            if time.monotonic() > until:
                raise NoAnswer("it did not become ready")
            time.sleep(_POLL)

    def ask(self, number: int, until: float) -> None:
        """Have a prompt continued."""
        self.complete(prompt(number), until)

    def complete(self, text: str, until: float) -> str:
        """Return what the model says after ``text``."""
        body = {"prompt": text, "n_predict": MAX_TOKENS, "temperature": 0}
        try:
            with self._client(max(until - time.monotonic(), 0.0)) as client:
                response = client.post("/completion", json=body)
                response.raise_for_status()
                answer: dict[str, Any] = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise NoAnswer(f"a completion failed: {error}") from error
        return str(answer.get("content", ""))

    def health(self) -> str:
        """Return what a health check gets now, in words."""
        try:
            with self._client(_HEALTH_TIMEOUT) as client:
                return f"HTTP {client.get('/health').status_code}"
        except httpx.TransportError:
            return f"no answer in {_HEALTH_TIMEOUT:.0f} s"

    def _is_ready(self, until: float) -> bool:
        try:
            with self._client(max(until - time.monotonic(), 0.0)) as client:
                return client.get("/health").status_code == _OK
        except httpx.TransportError:  # it does not listen yet, or stands still
            return False

    def _client(self, timeout: float) -> httpx.Client:
        key = self._endpoint.api_key
        return httpx.Client(
            base_url=self._endpoint.base_url,
            transport=httpx.HTTPTransport(uds=self._endpoint.socket_path),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=timeout,
        )
