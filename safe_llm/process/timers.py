"""What is to be done later, on whatever clock the caller reads. Pure; sleeps for nothing."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(order=True, slots=True)
class Timer:
    """One thing to be done at ``due``, unless cancelled."""

    due: float
    order: int
    action: Callable[[], object] | None = field(compare=False)

    def cancel(self) -> None:
        """Never do it. The entry leaves the heap when its time comes."""
        self.action = None


class Timers:
    """A heap of timers, for one thread."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._order = count()

    def add(self, due: float, action: Callable[[], object]) -> Timer:
        """Have ``action`` returned by ``take_due`` from ``due`` on."""
        timer = Timer(due, next(self._order), action)
        heapq.heappush(self._heap, timer)
        return timer

    def take_due(self, now: float) -> list[Callable[[], object]]:
        """Remove and return all actions whose time has come, oldest first."""
        actions = []
        while self._heap and self._heap[0].due <= now:
            action = heapq.heappop(self._heap).action
            if action is not None:
                actions.append(action)
        return actions

    def delay(self, now: float) -> float | None:
        """Seconds until the next action, or None when there is none."""
        while self._heap and self._heap[0].action is None:
            heapq.heappop(self._heap)
        return max(self._heap[0].due - now, 0.0) if self._heap else None
