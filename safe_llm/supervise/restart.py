"""Whether and when to start a crashed process again: a pure function of its history and now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """At most ``max_restarts`` within ``window`` seconds, after a pause that grows.

    The pause is ``backoff`` seconds after the first crash of the window, times ``factor`` after
    each further one, never more than ``longest_backoff``. ``max_restarts=0`` never restarts.
    """

    max_restarts: int = 3
    window: float = 60.0
    backoff: float = 0.1
    factor: float = 2.0
    longest_backoff: float = 10.0

    def delay(self, crashes: Sequence[float], now: float) -> float | None:
        """Seconds to wait before the next start, or None when the limit is reached.

        ``crashes`` are the times of all crashes so far, the one in question included.
        """
        recent = self.recent(crashes, now)
        if recent > self.max_restarts:
            return None
        return min(self.backoff * self.factor ** max(recent - 1, 0), self.longest_backoff)

    def recent(self, crashes: Sequence[float], now: float) -> int:
        """How many of the crashes count at ``now``."""
        return sum(1 for at in crashes if now - at < self.window)
