"""Messages between us and a worker: one JSON object a line, in both directions. Pure.

A request has a number, what to do, and its arguments; each reply has the number of its request,
what kind of reply it is, and its data. ``done`` and ``error`` conclude a request.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safe_llm.errors import ProtocolViolation
from safe_llm.protocol.lines import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPLIES_VARIABLE = "SAFE_LLM_REPLIES"
"""Names the descriptor to which only the protocol is written, in the worker's environment."""

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Request:
    """What the worker is asked to do."""

    id: int
    do: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the worker says to one request."""

    id: int
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


def encode(number: int, do: str, arguments: Mapping[str, Any] | None = None) -> bytes:
    """Return a request as a line; raise ``TypeError`` or ``ValueError`` for what is not JSON."""
    return _line({"id": number, "do": do, "arguments": dict(arguments or {})})


def encode_reply(number: int, kind: str, data: Mapping[str, Any] | None = None) -> bytes:
    """Return a reply as a line."""
    return _line({"id": number, "is": kind, "data": dict(data or {})})


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"


class _Reader:
    def __init__(self, max_message_bytes: int, *, peer: str) -> None:
        self._splitter = LineSplitter(max_message_bytes)
        self._peer = peer

    def _messages(self, data: bytes, word: str, more: str) -> Iterator[tuple[int, str, Any]]:
        for line in self._splitter.feed(data):
            if line.truncated_bytes:
                size = len(line.data) + line.truncated_bytes
                raise self._violation(f"a message of {size} bytes", line.data)
            message = self._parsed(line.data)
            number, said, rest = message.get("id"), message.get(word), message.get(more)
            if type(number) is not int or not isinstance(said, str) or type(rest) is not dict:
                raise self._violation("a message without its fields", line.data)
            yield number, said, rest

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            message = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._violation("a message that is no JSON", data) from error
        if not isinstance(message, dict):
            raise self._violation("a message that is no object", data)
        return message

    def _violation(self, what: str, data: bytes) -> ProtocolViolation:
        return ProtocolViolation(peer=self._peer, reason=f"{what}: {data[:_SHOWN]!r}")


class RequestReader(_Reader):
    """Requests out of the bytes that the worker receives."""

    def feed(self, data: bytes) -> Iterator[Request]:
        """Yield the requests that these bytes complete; raise ``ProtocolViolation``."""
        for number, do, arguments in self._messages(data, "do", "arguments"):
            yield Request(number, do, arguments)


class ReplyReader(_Reader):
    """Replies out of the bytes that the worker has written."""

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Yield the replies that these bytes complete; raise ``ProtocolViolation``."""
        for number, kind, more in self._messages(data, "is", "data"):
            yield Reply(number, kind, more)
