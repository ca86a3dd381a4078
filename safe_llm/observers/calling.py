"""An observer at work, and the thread that it holds. Decides nothing about either."""

from __future__ import annotations

import threading
from _thread import allocate_lock
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from safe_llm.events import Observer


class Call:
    """One call of an observer, begun ``since`` (seconds of the monotonic clock)."""

    __slots__ = ("_claim", "observer", "since")

    def __init__(self, observer: Observer) -> None:
        """Begin now."""
        self.observer = observer
        self.since = monotonic()
        self._claim = allocate_lock()

    def claim(self) -> bool:
        """Return True to one caller only: the thread that made the call, or who gives it up."""
        return self._claim.acquire(blocking=False)


class Worker(threading.Thread):
    """One serving thread and the call that it is in, if any."""

    def __init__(self, serve: Callable[[Worker], None]) -> None:
        """Prepare the thread; nothing runs yet."""
        super().__init__(target=serve, args=(self,), name="safe-llm-observers", daemon=True)
        self.call: Call | None = None
