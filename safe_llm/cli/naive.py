"""The orchestrator that everybody writes first: wrong on purpose, so that it can be watched.

It gives the server a pipe for its log and never reads it. It is no part of how safe_llm works.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import httpx

from safe_llm.cli.demo_chain import MAX_TOKENS, as_llm, chain, question
from safe_llm.process import orphans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from safe_llm.engines.endpoint import Endpoint

_POLL = 0.05  # seconds between two looks whether it is ready
_PATIENCE = 60.0  # seconds: its observer ends it long before
_HEALTH_TIMEOUT = 1.0
_KILL_TIMEOUT = 5.0
_OK = 200


class NaiveOrchestrator:
    """Starts a server and sends it one request after the other, on a thread of its own."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._stopping = threading.Event()
        self.is_ready = False
        self.answered = 0
        key = {"LLAMA_API_KEY": endpoint.api_key} if endpoint.api_key else {}
        # The prefix has the kernel kill it with us. It is the one thing here that is done right.
        self.process = subprocess.Popen(
            [*orphans.launcher_prefix(), *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,  # the mistake: nobody will read it
            env={**os.environ, **env, **key},
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._work, name="naive", daemon=True)
        self._thread.start()

    @property
    def log_descriptor(self) -> int:
        """Our end of the pipe that nobody reads."""
        if self.process.stderr is None:
            raise AssertionError(self.process)
        return self.process.stderr.fileno()

    def ask_health(self) -> str:
        """Return what a health check gets now, in words."""
        try:
            with self._client(_HEALTH_TIMEOUT) as client:
                return f"HTTP {client.get('/health').status_code}"
        except httpx.TransportError:
            return f"no answer in {_HEALTH_TIMEOUT:.0f} s"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self.process.kill()  # a llama-server that waits for its log does not hear SIGTERM
        self.process.wait(_KILL_TIMEOUT)
        self._thread.join(_KILL_TIMEOUT)  # its connection broke with the process
        if self.process.stderr is not None:
            self.process.stderr.close()

    def _client(self, timeout: float) -> httpx.Client:
        key = self._endpoint.api_key
        return httpx.Client(
            base_url=self._endpoint.base_url,
            transport=httpx.HTTPTransport(uds=self._endpoint.socket_path),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=timeout,
        )

    def _work(self) -> None:
        try:
            self._wait_ready()
            self._ask_for_ever()
        except httpx.TransportError:
            return  # it was killed, or stands still

    def _wait_ready(self) -> None:
        with self._client(_PATIENCE) as client:
            while not self._stopping.is_set() and not self.is_ready:
                with suppress(httpx.ConnectError):  # it does not listen yet
                    self.is_ready = client.get("/health").status_code == _OK
                time.sleep(_POLL)

    def _ask_for_ever(self) -> None:
        asking = chain(as_llm(self._complete))
        while not self._stopping.is_set():
            asking.invoke(question(self.answered))
            self.answered += 1

    def _complete(self, prompt: str) -> str:
        body = {"prompt": prompt, "n_predict": MAX_TOKENS, "temperature": 0}
        with self._client(_PATIENCE) as client:
            answer: dict[str, Any] = client.post("/completion", json=body).json()
        return str(answer.get("content", ""))
