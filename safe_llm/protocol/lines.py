"""Bytes to lines, bounded and linear. Never refuses a byte, and does not know what a line means.

A child may write 100 MB without a newline, progress that is redrawn after a carriage return, or
bytes that no encoding knows. None of that is an error here: a line that is too long is cut and
what was cut is counted.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Terminator = Literal[b"\n", b"\r\n", b"\r", b""]


class Line(NamedTuple):
    """A line without its terminator, which is ``b""`` only for the last, unfinished one.

    ``truncated_bytes`` is how many bytes followed ``data`` in this line and were not kept.
    """

    data: bytes
    terminator: Terminator
    truncated_bytes: int


class LineSplitter:
    r"""Cuts a stream into lines at ``\n``, ``\r\n`` and ``\r``, however the stream itself is cut.

    Guarantees: the same bytes give the same lines however they are fed; the work is linear in the
    bytes fed; at most ``max_line_bytes`` are kept between two calls.

    A ``\r`` ends its line only when the next byte is known, because ``\r\n`` is one terminator:
    until then the text of the line is in ``pending``.
    """

    def __init__(self, max_line_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes
        self._kept = bytearray()
        self._truncated_bytes = 0
        self._after_carriage_return = False

    def __repr__(self) -> str:
        return (
            f"<LineSplitter: {len(self._kept)} of at most {self._max_line_bytes} bytes pending,"
            f" {self._truncated_bytes} truncated>"
        )

    @property
    def pending(self) -> bytes:
        """The kept beginning of the line that has not ended yet, as a copy."""
        return bytes(self._kept)

    def feed(self, data: bytes) -> list[Line]:
        """Take the next bytes of the stream and return the lines that they end."""
        if not data:
            return []
        lines: list[Line] = []
        if self._after_carriage_return:
            joined = data.startswith(b"\n")
            lines.append(self._end_line(b"", b"\r\n" if joined else b"\r"))
            data = data[1:] if joined else data
        # For bytes, unlike str, splitlines() knows \n, \r\n and \r only.
        pieces = data.splitlines(keepends=True)
        unfinished = pieces.pop() if pieces and not pieces[-1].endswith(b"\n") else b""
        lines.extend([self._end_line(*_cut_terminator(piece)) for piece in pieces])
        self._after_carriage_return = unfinished.endswith(b"\r")
        self._keep(unfinished.removesuffix(b"\r"))
        return lines

    def finish(self) -> list[Line]:
        """Return the unfinished last line, if there is one, and be as new."""
        if self._after_carriage_return:
            return [self._end_line(b"", b"\r")]
        if self._kept or self._truncated_bytes:
            return [self._end_line(b"", b"")]
        return []

    def _keep(self, data: bytes) -> None:
        room = self._max_line_bytes - len(self._kept)
        self._kept += data[:room]
        self._truncated_bytes += max(0, len(data) - room)

    def _end_line(self, data: bytes, terminator: Terminator) -> Line:
        self._keep(data)
        line = Line(bytes(self._kept), terminator, self._truncated_bytes)
        self._kept.clear()
        self._truncated_bytes = 0
        self._after_carriage_return = False
        return line


def _cut_terminator(piece: bytes) -> tuple[bytes, Terminator]:
    if piece.endswith(b"\r\n"):
        return piece[:-2], b"\r\n"
    if piece.endswith(b"\n"):
        return piece[:-1], b"\n"
    return piece[:-1], b"\r"


# ECMA-48, with the two ends of an OSC that terminals accept. Possessive (`*+`), hence linear: a
# string that does not end loses its introducer only, so that it cannot hide the rest of the line.
_ESCAPE_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # CSI: colours, cursor, modes
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x18\x1a\x1b\x9c]*+(?:\x07|\x1b\\|\x9c)"  # OSC …
    r"|\x1b[ -/]*+[0-~]?"  # all others, and introducers without an end
)

_CONTROLS: dict[int, str | None] = {
    **dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)]),
    **dict.fromkeys(map(ord, "\t\n\v\f\r\u2028\u2029"), " "),
    **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)]),  # reorder what is shown
}


def sanitise(data: bytes) -> str:
    """Text that is safe to show: no escape sequence, no control character, no line break.

    Bytes that are not UTF-8 become U+FFFD, white space becomes a space, the rest is left out.
    Never raises, and takes time linear in ``data``.
    """
    text = data.decode("utf-8", "replace")
    return _ESCAPE_SEQUENCE.sub("", text).translate(_CONTROLS)
