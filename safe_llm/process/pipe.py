"""Reads the pipe of one child's stream, and widens it where a stream fills it all the time.

Knows neither children nor rings. Reading never blocks: the descriptor is non-blocking.
"""

from __future__ import annotations

import fcntl
import os
import sys

from safe_llm.limits import KiB

_USUAL_BYTES = 64 * KiB  # a pipe's usual size: one read empties it
# Wide enough that a turn of the hub costs less than the copying; and 256 streams of one user can
# have it before the kernel makes new pipes small (64 MiB in all, pipe(7): pipe-user-pages-soft).
_WIDE_BYTES = 256 * KiB
_FULL_READS = 64  # in a row: 4 MiB without a pause is a flood, and no log of an engine


class Pipe:
    """The reading end of one stream."""

    __slots__ = ("_full_reads", "_read_bytes", "_widest", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._full_reads = 0
        self._read_bytes = self._widest = _USUAL_BYTES

    def read(self) -> bytes:
        """Return what one read gives: 64 KiB at most, 256 KiB from a widened pipe."""
        chunk = os.read(self.fd, self._read_bytes)
        if len(chunk) < _USUAL_BYTES:
            self._full_reads = 0
            self._read_bytes = _USUAL_BYTES
        else:
            self._full_reads += 1
            if self._full_reads == _FULL_READS and self._widest == _USUAL_BYTES:
                self._widest = _widen(self.fd)
            self._read_bytes = self._widest
        return chunk


def _widen(fd: int) -> int:
    """Return how much the pipe holds from now on; nothing in it is lost."""
    if sys.platform != "linux":
        return _USUAL_BYTES
    try:
        return fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _WIDE_BYTES)
    except OSError:  # this user has as much of pipes as he may, or it is no pipe
        return _USUAL_BYTES
