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


def socket_of(engine: Lease) -> str:
    """Return the socket that a running engine of ours listens on, as its command line says."""
    arguments = Path(f"/proc/{engine.status().pid}/cmdline").read_text(encoding="utf-8").split("\0")
    return arguments[arguments.index("--host") + 1]


class BareClient:
    """Streams completions for a thread."""

    def __init__(self, socket_path: str) -> None:
        transport = httpx.HTTPTransport(uds=socket_path)
        self.http = httpx.Client(base_url="http://engine", transport=transport, timeout=BOUND)

    def complete(self, body: Mapping[str, Any]) -> Stopwatch:
        """Read one completion to its end."""
        watch = Stopwatch()
        with self.http.stream("POST", "/completion", json=body, headers=_HEADERS) as answer:
            for line in answer.iter_lines():
                if line.startswith(_PREFIX):
                    watch.heard(json.loads(line.removeprefix(_PREFIX))["content"])
        return watch

    def busy_slots(self) -> int:
        """Return how many slots are generating."""
        return sum(slot["is_processing"] for slot in self.http.get("/slots").json())


class BareAsyncClient:
    """Streams completions for a task."""

    def __init__(self, socket_path: str) -> None:
        transport = httpx.AsyncHTTPTransport(uds=socket_path)
        self.http = httpx.AsyncClient(base_url="http://engine", transport=transport, timeout=BOUND)

    async def complete(self, body: Mapping[str, Any]) -> Stopwatch:
        """Read one completion to its end."""
        watch = Stopwatch()
        async with self.http.stream("POST", "/completion", json=body, headers=_HEADERS) as answer:
            async for line in answer.aiter_lines():
                if line.startswith(_PREFIX):
                    watch.heard(json.loads(line.removeprefix(_PREFIX))["content"])
        return watch
