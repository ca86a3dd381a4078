"""The record channel from a hub to its orphan watchdog: lines ⇄ records. Does no I/O of its own.

::

    +SID PID STARTTICKS COOKIEVALUE     this child lives
    -COOKIEVALUE                        it has been reaped and swept
    bye                                 the hub ends in good order, leave everything alone
"""

from __future__ import annotations

from typing import NamedTuple

BYE = b"bye\n"

MAX_LINE_BYTES = 512  # three numbers and an id; whatever is longer is no line of ours
_NUMBERS = 3


class Record(NamedTuple):
    """One child: the session it was given, its pid, when that started, its cookie's value.

    ``start_ticks`` is field 22 of ``/proc/PID/stat``; 0 means unknown, and then neither the pid
    nor the session proves anything. The record names a session only where ``sid == pid``: in a
    session that it does not lead, a child may have strangers beside it.
    """

    sid: int
    pid: int
    start_ticks: int
    value: str


def record_line(record: Record) -> bytes:
    """Return the line that announces a child."""
    return f"+{record.sid} {record.pid} {record.start_ticks} {record.value}\n".encode()


def forget_line(value: str) -> bytes:
    """Return the line that withdraws the child with this cookie value."""
    return f"-{value}\n".encode()


class Ledger:
    """What the hub has said so far. Takes bytes in any cut; ignores what it does not understand."""

    def __init__(self) -> None:
        self.said_bye = False
        self._records: dict[str, Record] = {}
        self._pending = b""
        self._overlong = False

    @property
    def records(self) -> frozenset[Record]:
        """The children that live, as far as the hub has told."""
        return frozenset(self._records.values())

    def feed(self, data: bytes) -> None:
        """Take in what was read. Keeps at most ``MAX_LINE_BYTES`` of an unfinished line."""
        *lines, rest = (self._pending + data).split(b"\n")
        for line in lines:
            if not self._overlong and len(line) <= MAX_LINE_BYTES:
                self._take(line.decode("utf-8", "replace"))
            self._overlong = False
        self._overlong = self._overlong or len(rest) > MAX_LINE_BYTES
        self._pending = b"" if self._overlong else rest

    def _take(self, line: str) -> None:
        if line == "bye":
            self.said_bye = True
        elif line.startswith("-"):
            self._records.pop(line[1:], None)
        elif line.startswith("+"):
            record = _parse(line[1:])
            if record is not None:
                self._records[record.value] = record


def _parse(text: str) -> Record | None:
    *numbers, value = text.split(" ")
    if len(numbers) != _NUMBERS or not value or not all(map(_is_number, numbers)):
        return None
    sid, pid, start_ticks = map(int, numbers)
    return Record(sid, pid, start_ticks, value)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
