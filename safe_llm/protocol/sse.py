"""Server-sent events, from bytes. Never reconnects, and does not know what the events mean.

Source: the section "Server-sent events" of the WHATWG HTML standard, "Interpreting an event
stream". Left out: ``retry``, because who connects again, and when, is not decided here.
"""

from __future__ import annotations

from typing import NamedTuple

from safe_llm.errors import ProtocolViolation

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """One event. ``id`` is the last one that the stream has set, for this event or an earlier."""

    event: str
    data: str
    id: str


class SseParser:
    r"""Cuts a stream of bytes into events.

    Guarantees: the same bytes give the same events however they are cut; an event is returned by
    the call that brings the end of its blank line, be it only ``\r``; the work is linear; no more
    than ``max_event_bytes`` are kept. An event that the stream does not finish does not exist.

    ``peer`` names the sender in errors.
    """

    def __init__(self, max_event_bytes: int, *, peer: str = "event stream") -> None:
        self._max_event_bytes = max_event_bytes
        self._peer = peer
        self._line = bytearray()
        self._data = bytearray()
        self._event = b""
        self._id = b""
        self._at_start = True
        self._after_carriage_return = False

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next bytes of the stream and return the events that they complete.

        Raises ``ProtocolViolation`` for an event of more than ``max_event_bytes``. The stream
        cannot be followed any further then: the parser must not be fed again.
        """
        if not data:
            return []
        rest = data
        if self._after_carriage_return:
            rest = data.removeprefix(b"\n")  # the second half of \r\n
        self._after_carriage_return = data.endswith(b"\r")
        events: list[ServerSentEvent] = []
        for piece in rest.splitlines(keepends=True):
            part = piece.rstrip(b"\r\n")
            self._extend_line(part)
            if len(part) < len(piece):
                events += self._end_line()
        return events

    def _extend_line(self, part: bytes) -> None:
        kept = len(self._line) + len(self._data) + len(self._event) + len(self._id)
        size = kept + len(part)
        if size > self._max_event_bytes:
            raise ProtocolViolation(
                peer=self._peer,
                reason=(
                    f"sent an event of {size} bytes or more,"
                    f" expected no more than {self._max_event_bytes} bytes"
                ),
            )
        self._line += part

    def _end_line(self) -> list[ServerSentEvent]:
        line = bytes(self._line)
        self._line.clear()
        if self._at_start:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._at_start = False
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")  # a comment has an empty name, which is no field
        self._set_field(name, value.removeprefix(b" "))
        return []

    def _set_field(self, name: bytes, value: bytes) -> None:
        if name == b"data":
            self._data += value + b"\n"
        elif name == b"event":
            self._event = value
        elif name == b"id" and b"\0" not in value:
            self._id = value

    def _dispatch(self) -> list[ServerSentEvent]:
        event, data = self._event, bytes(self._data)
        self._event = b""
        self._data.clear()
        if not data:  # the standard: without a data field there is nothing to tell
            return []
        return [ServerSentEvent(_text(event) or "message", _text(data[:-1]), _text(self._id))]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
