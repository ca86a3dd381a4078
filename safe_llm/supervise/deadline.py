"""The deadlines of one call, as a pure function of what was heard and when. Reads no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safe_llm.limits import Limits


@dataclass(frozen=True, slots=True)
class Overdue:
    """Which limit a call has exceeded, and by how much."""

    layer: str
    limit: float
    elapsed: float


class CallClock:
    """The times of one call: when it began, when the engine was ready, when it was last heard of.

    All times are of one ``RunClock``. A write counts: the clock runs from ``begun`` on, whatever
    the call is busy with. ``queued`` are the seconds that it has waited for its turn before: they
    count for the caller (L1), but not for the process (L4).
    """

    __slots__ = ("begun", "first_heard", "last_heard", "limits", "queued", "ready")

    def __init__(self, limits: Limits, now: float, queued: float = 0.0) -> None:
        self.limits = limits
        self.queued = queued
        self.begun = now - queued
        self.ready: float | None = None
        self.first_heard: float | None = None
        self.last_heard = now

    def is_ready(self, now: float) -> None:
        """The engine is there; what is measured from now on is the work itself."""
        self.ready = self.last_heard = now

    def heard(self, now: float) -> None:
        """A token, or any other sign that the engine works on this call, has arrived."""
        self.last_heard = now
        if self.first_heard is None:
            self.first_heard = now

    def overdue(self, now: float) -> Overdue | None:
        """Return the first limit that is exceeded at ``now``, or None."""
        for layer, limit, since in self._running():
            if limit is not None and now - since > limit:
                return Overdue(layer, limit, now - since)
        return None

    def _running(self) -> Iterator[tuple[str, float | None, float]]:
        limits = self.limits
        yield "L1 call", limits.call, self.begun
        if self.ready is None:
            yield "L1 start", limits.start, self.begun + self.queued
            return
        asked = self.ready - self.queued
        yield "L1 total", limits.total, asked
        if self.first_heard is None:
            yield "L1 first_token", limits.first_token, asked
        else:
            yield "L1 gap", limits.gap, self.last_heard
        yield "L4 job", limits.job, self.ready
