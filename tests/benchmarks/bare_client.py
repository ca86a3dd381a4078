"""The reference for calls: httpx on the same socket, with as little around it as a client needs.

It has no deadline, frees no slot by itself and knows no restart. Each request has a connection of
its own, as ours do: on one that has carried a stream, llama-server loses 2-3 % of the requests.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.benchmarks.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.engines.lease import Lease

BOUND = 60.0  # seconds between two bytes
_PREFIX = "data: "
_HEADERS = {"Connection": "close"}
_DONE = _PREFIX + "[DONE]"


def _text_of(line: str) -> str:
    """Return what a line of a stream says, of a completion or of a chat."""
    if not line.startswith(_PREFIX) or line == _DONE:
        return ""
    event = json.loads(line.removeprefix(_PREFIX))
    choices = event.get("choices")
    said = event["content"] if choices is None else choices and choices[0]["delta"].get("content")
    return said or ""


def socket_of(engine: Lease) -> str:
    """Return the socket that a running engine of ours listens on, as its command line says."""
    arguments = Path(f"/proc/{engine.status().pid}/cmdline").read_text(encoding="utf-8").split("\0")
    return arguments[arguments.index("--host") + 1]


class BareClient:
    """Streams answers for a thread."""

    def __init__(self, socket_path: str) -> None:
        transport = httpx.HTTPTransport(uds=socket_path)
        self.http = httpx.Client(base_url="http://engine", transport=transport, timeout=BOUND)

    def complete(self, body: Mapping[str, Any]) -> Stopwatch:
        """Read one completion to its end."""
        return self._read("/completion", body)

    def converse(self, body: Mapping[str, Any]) -> Stopwatch:
        """Read one answer of a chat to its end."""
        return self._read("/v1/chat/completions", body)

    def _read(self, path: str, body: Mapping[str, Any]) -> Stopwatch:
        watch = Stopwatch()
        with self.http.stream("POST", path, json=body, headers=_HEADERS) as answer:
            for line in answer.iter_lines():
                watch.heard(_text_of(line))
        return watch

    def busy_slots(self) -> int:
        """Return how many slots are generating."""
        return sum(slot["is_processing"] for slot in self.http.get("/slots").json())


class BareAsyncClient:
    """Streams answers for a task."""

    def __init__(self, socket_path: str) -> None:
        transport = httpx.AsyncHTTPTransport(uds=socket_path)
        self.http = httpx.AsyncClient(base_url="http://engine", transport=transport, timeout=BOUND)

    async def complete(self, body: Mapping[str, Any]) -> Stopwatch:
        """Read one completion to its end."""
        return await self._read("/completion", body)

    async def converse(self, body: Mapping[str, Any]) -> Stopwatch:
        """Read one answer of a chat to its end."""
        return await self._read("/v1/chat/completions", body)

    async def _read(self, path: str, body: Mapping[str, Any]) -> Stopwatch:
        watch = Stopwatch()
        async with self.http.stream("POST", path, json=body, headers=_HEADERS) as answer:
            async for line in answer.aiter_lines():
                watch.heard(_text_of(line))
        return watch
