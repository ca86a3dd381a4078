"""Counters that the hot threads may raise: no lock, no lost update, nothing but numbers."""

from __future__ import annotations

from _thread import get_ident
from dataclasses import dataclass


class Tally:
    """A counter with one cell per thread: each cell has a single writer, so nothing is locked."""

    def __init__(self) -> None:
        """Start at zero."""
        self._cells: dict[int, int] = {}

    def add(self) -> None:
        """Count one more."""
        me = get_ident()
        self._cells[me] = self._cells.get(me, 0) + 1

    @property
    def total(self) -> int:
        """What all threads have counted."""
        return sum(self._cells.copy().values())


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherStatistics:
    """One look at a dispatcher; a delivery is one event for one observer.

    ``dropped``: refused by a full queue. ``lost``: meant for an observer that blocks.
    ``blocked``: the observers that hold a thread at this moment. ``failed_starts``: how often the
    system had no thread for us.
    """

    delivered: int
    failed: int
    dropped: int
    lost: int
    queued: int
    blocked: tuple[str, ...]
    failed_starts: int
