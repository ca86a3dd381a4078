"""The one clock: seconds in which this process ran. Sets no timer and reads no wall clock.

A machine that slept, a process that was stopped, an interpreter whose lock was held: in none of
these could an answer have been received, so none of them may count towards a deadline. Whoever
owns a clock ticks it at least once per ``period``; what lies beyond a few periods between two
ticks was not ours and is not counted.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD = 0.25  # four wake-ups a second: fine enough for a 1 s grace, too few to be felt
_TICKS_A_PERIOD = 16  # more are no news: a busy hub turns some 50,000 times a second
_TOLERATED_PERIODS = 2  # one late tick is a busy machine; more is a process that did not run


class _Mark(NamedTuple):
    """Replaced as a whole by the owner, so that any thread reads a consistent one."""

    credited: float
    at: float
    lost: float
    longest_gap: float


class RunClock:
    """A monotonic clock that stands still while this process does.

    One owner calls ``tick()``; anybody may call ``now()``.
    """

    __slots__ = ("_longest_step", "_mark", "_read", "_shortest_step")

    def __init__(self, period: float = PERIOD, read: Callable[[], float] = monotonic) -> None:
        self._read = read
        self._longest_step = period * _TOLERATED_PERIODS
        self._shortest_step = period / _TICKS_A_PERIOD
        self._mark = _Mark(credited=0.0, at=read(), lost=0.0, longest_gap=0.0)

    def now(self) -> float:
        """Seconds that this process ran since the clock was made."""
        mark = self._mark
        return mark.credited + min(max(self._read() - mark.at, 0.0), self._longest_step)

    def tick(self) -> float:
        """Advance; return the gap in seconds that was not counted, mostly 0."""
        mark, at = self._mark, self._read()
        passed = max(at - mark.at, 0.0)
        if passed < self._shortest_step:
            return 0.0
        gap = max(passed - self._longest_step, 0.0)
        self._mark = _Mark(
            credited=mark.credited + passed - gap,
            at=at,
            lost=mark.lost + gap,
            longest_gap=max(mark.longest_gap, passed) if gap else mark.longest_gap,
        )
        return gap

    def resume(self) -> None:
        """Go on after a wait that was meant to be long, without calling it a gap."""
        self._mark = self._mark._replace(at=self._read())

    @property
    def age(self) -> float:
        """Real seconds since the last tick: large when the owner does not turn any more."""
        return self._read() - self._mark.at

    @property
    def longest_gap(self) -> float:
        """The longest real time in seconds between two ticks that counted as a gap."""
        return self._mark.longest_gap

    @property
    def lost(self) -> float:
        """Sum of all gaps in seconds."""
        return self._mark.lost
