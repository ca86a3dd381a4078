"""L5: how much a stream carried lately. Pure; acts on nothing."""

from __future__ import annotations

_SHORTEST = 1e-6  # seconds; a window of 0 is allowed and means: within one chunk


class FloodGauge:
    """Counts bytes in a window that slides in steps of half its length. O(1) a chunk.

    Two half windows are kept: a flood is seen at the latest when it has lasted one and a half
    windows, and never when less than the limit came within one window.
    """

    __slots__ = ("_current", "_half", "_limit", "_number", "_previous")

    def __init__(self, limit_bytes: int, window: float) -> None:
        self._limit = limit_bytes
        self._half = max(window / 2, _SHORTEST)
        self._number = 0
        self._current = 0
        self._previous = 0

    def add(self, count: int, now: float) -> bool:
        """Count ``count`` bytes at ``now``; return whether the limit is exceeded."""
        number = int(now // self._half)  # of the half window that it belongs to
        if number != self._number:
            self._previous = self._current if number == self._number + 1 else 0
            self._current = 0
            self._number = number
        self._current += count
        return self.recent_bytes > self._limit

    @property
    def recent_bytes(self) -> int:
        """Bytes of the current and the previous half window."""
        return self._current + self._previous
