"""Sees from outside that a process stands still, and tells it from one that is merely slow.

Reads /proc and asks the kernel how full a pipe is; takes no byte out of it, stops nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safe_llm.diagnose.procfs import session_cpu_seconds, snapshot
from safe_llm.measure.pipe import unread_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STILL = 1.0  # seconds without any movement, with a thread seen in a pipe write
_STILL_UNEXPLAINED = 5.0  # seconds, where nothing can be seen of its threads (macOS)
_CPU_NOISE = 0.05  # seconds of processor time that timers and health checks may take meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A process at one moment. ``at`` in seconds, None where the system does not tell."""

    at: float
    unread_bytes: int
    answered: int
    cpu_seconds: float | None
    is_blocked: bool | None
    words: str

    def moved_since(self, earlier: Look) -> bool:
        """Whether anything has happened in between."""
        worked = (self.cpu_seconds or 0.0) - (earlier.cpu_seconds or 0.0)
        before = (earlier.unread_bytes, earlier.answered)
        return (self.unread_bytes, self.answered) != before or worked > _CPU_NOISE


def stands_still(looks: Sequence[Look]) -> bool:
    """Tell from the looks so far whether the process will never move again.

    That it waits in a pipe write proves nothing by itself: for a while others of its threads go
    on. That it does nothing proves nothing either. Both together, for long enough, do.
    """
    last = looks[-1]
    if last.is_blocked is False or not last.unread_bytes:
        return False
    enough = _STILL if last.is_blocked else _STILL_UNEXPLAINED
    earlier = [one for one in looks if last.at - one.at >= enough]
    return bool(earlier) and not last.moved_since(earlier[-1])


def look_at(pid: int, descriptors: Iterable[int], *, at: float, answered: int) -> Look:
    """Look once at the process whose logs are read, or not, from ``descriptors``."""
    seen = snapshot(pid)
    return Look(
        at=at,
        unread_bytes=sum(map(unread_bytes, descriptors)),
        answered=answered,
        cpu_seconds=session_cpu_seconds(pid),
        is_blocked=None if seen is None else any(t.blocked_descriptor for t in seen.threads),
        words="" if seen is None else seen.describe(),
    )
