"""L2 and L3: is a process alive, and does it get on? Judges evidence, collects none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safe_llm.limits import Limits

CPU_NOISE = 0.02  # seconds: a timer or a signal handler; two ticks of the kernel's accounting


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a process at one moment.

    ``at`` is a time of a ``RunClock``. ``activity`` counts all bytes and tokens so far.
    ``cpu_seconds`` is summed over the process tree; None where it cannot be known.
    ``waiting_since`` is the start of the oldest call in flight, None when there is none, and
    ``patience`` what the most patient one allows the process to be silent, None for ever.
    """

    at: float
    activity: int
    cpu_seconds: float | None
    waiting_since: float | None = None
    patience: float | None = None


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A layer that has caught something: its limit and what was seen, in seconds and in words."""

    layer: str
    limit: float
    elapsed: float
    detail: str


class Watchdog:
    """Remembers when a process last showed life, and says when that is too long ago."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._cpu_seconds: float | None = None
        self._activity = 0
        self._moved_at = now
        self._misses = 0

    @property
    def moved_at(self) -> float:
        """When it last wrote a byte or used the processor."""
        return self._moved_at

    def observe(self, evidence: Evidence) -> Suspicion | None:
        """L3: no byte, token or CPU tick for too long while a call is in flight."""
        self._note_movement(evidence)
        allowed = evidence.patience
        if allowed is None or evidence.waiting_since is None:
            return None
        silent = evidence.at - max(self._moved_at, evidence.waiting_since)
        if silent <= allowed:
            return None
        return Suspicion(
            "L3 progress", allowed, silent, "no byte, token or CPU tick with a call in flight"
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
            self._limits.alive_timeout,
            evidence.at - self._moved_at,
            f"{self._misses} probes in a row were not answered, without a byte or a CPU tick",
        )

    def _note_movement(self, evidence: Evidence) -> bool:
        before, now = self._cpu_seconds, evidence.cpu_seconds
        worked = before is not None and now is not None and now - before > CPU_NOISE
        moved = worked or evidence.activity != self._activity
        if worked or before is None:  # slow work must add up: keep the mark until it is passed
            self._cpu_seconds = now
        self._activity = evidence.activity
        if moved:
            self._moved_at = evidence.at
        return moved
