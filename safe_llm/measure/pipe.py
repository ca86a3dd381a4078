"""How full a pipe is, and how much of one engine's log a pipe of this machine takes.

The size that the kernel names is no answer to that: a write that does not fit into the rest of a
page begins a new one, so that 2,049-byte writes fill a pipe of 65,536 bytes with 32,784.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, cycle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def unread_bytes(descriptor: int) -> int:
    """Return how many bytes wait in a pipe."""
    size = struct.calcsize("i")
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(size))
    return int(struct.unpack("i", answer)[0])


def capacity_bytes(descriptor: int) -> int | None:
    """Return how many bytes a pipe can hold at most; None where the kernel does not say.

    Small writes fill it sooner: each may take a page of its own.
    """
    command = getattr(fcntl, "F_GETPIPE_SZ", None)
    return None if command is None else int(fcntl.fcntl(descriptor, command))


def nominal_bytes() -> int | None:
    """Return the size that the kernel names for a new pipe of this user."""
    with _unread_pipe() as (reader, _):
        return capacity_bytes(reader)


@dataclass(frozen=True, slots=True)
class Fill:
    """An unread pipe that is full.

    It took ``capacity_bytes``, and with them the whole log of ``requests`` requests.
    """

    capacity_bytes: int
    requests: int


def fill(start: Sequence[int], requests: Sequence[Sequence[int]]) -> Fill | None:
    """Write into a real pipe what an engine wrote, write by write, until it is full.

    ``start`` and each of ``requests`` are the sizes of its writes. When all are written the later
    half of the requests comes again and again: what the first ones write depends on what is in no
    cache yet. None when they write nothing, so that the pipe never fills.
    """
    again = requests[len(requests) // 2 :]
    with _unread_pipe() as (_, writer):
        taken = _write_all(writer, start)
        if taken < sum(start):
            return Fill(taken, 0)
        if not any(map(sum, again)):
            return None
        for number, sizes in enumerate(chain(requests, cycle(again))):
            part = _write_all(writer, sizes)
            taken += part
            if part < sum(sizes):
                return Fill(taken, number)
    raise AssertionError("a pipe that is never full")


def _write_all(writer: int, sizes: Iterable[int]) -> int:
    """Write until the pipe is full; return how many bytes it took."""
    taken = 0
    for size in sizes:
        try:
            part = os.write(writer, bytes(size))
        except BlockingIOError:
            return taken
        taken += part
        if part < size:
            return taken
    return taken


@contextmanager
def _unread_pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)
