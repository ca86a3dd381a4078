"""L2 and L3: is a process alive, and does it get on? Judges evidence, collects none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safe_llm.limits import Limits

_CPU_NOISE = 0.02  # seconds: a timer or a signal handler; two ticks of the kernel's accounting


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a process at one moment.

    ``at`` and ``heard_at`` are times of one ``RunClock``; ``heard_at`` is the last byte or token.
    ``cpu_seconds`` is summed over the process tree; None where it cannot be known.
    ``waiting_since`` is the start of the oldest call in flight, None when there is none.
    """

    at: float
    heard_at: float
    cpu_seconds: float | None
    waiting_since: float | None = None


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A layer that has caught something, in words."""

    layer: str
    detail: str


class Watchdog:
    """Remembers when a process last showed life, and says when that is too long ago."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._cpu_seconds: float | None = None
        self._moved_at = now
        self._misses = 0

    @property
    def moved_at(self) -> float:
        """When it last wrote a byte or used the processor."""
        return self._moved_at

    def observe(self, evidence: Evidence) -> Suspicion | None:
        """L3: no byte, token or CPU tick for too long while a call is in flight."""
        self._note_movement(evidence)
        allowed = self._limits.progress
        if allowed is None or evidence.waiting_since is None:
            return None
        silent = evidence.at - max(self._moved_at, evidence.waiting_since)
        if silent <= allowed:
            return None
        return Suspicion(
            "L3 progress",
            f"no byte, token or CPU tick for {silent:.3g} s with a call in flight"
            f" (limit {allowed:.3g} s)",
        )

    def probed(self, *, answered: bool, evidence: Evidence) -> Suspicion | None:
        """L2: the probe on the work path was not answered, several times, by an idle process.

        A busy server answers late: an unanswered probe counts only when there was also no byte
        and no CPU time since the one before.
        """
        moved = self._note_movement(evidence)
        if answered or moved:
            self._misses = 0
            return None
        self._misses += 1
        if self._misses < self._limits.alive_misses:
            return None
        return Suspicion(
            "L2 alive",
            f"{self._misses} probes in a row were not answered within"
            f" {self._limits.alive_timeout:.3g} s, without a byte or a CPU tick meanwhile",
        )

    def _note_movement(self, evidence: Evidence) -> bool:
        heard = evidence.heard_at > self._moved_at
        before, now = self._cpu_seconds, evidence.cpu_seconds
        self._cpu_seconds = now
        worked = before is not None and now is not None and now - before > _CPU_NOISE
        if worked:
            self._moved_at = evidence.at
        elif heard:
            self._moved_at = evidence.heard_at
        return heard or worked
