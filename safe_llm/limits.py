"""The five layers and the stop policy, as data. Decides nothing and starts nothing.

Seconds are floats and count only time in which this process ran; ``None`` switches a limit off.
"""

from __future__ import annotations

import math
import signal
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from safe_llm.errors import MisuseError

KiB = 1024
MiB = 1024 * KiB

FloodAction = Literal["kill", "warn"]
SweepScope = Literal["all", "group", "none"]


def _check(name: str, value: object, *, optional: bool) -> None:
    if value is None and optional:
        return
    if isinstance(value, (int, float)) and value >= 0 and math.isfinite(value):
        return
    raise MisuseError(
        reason=f"limit {name}={value!r} is not a non-negative, finite number",
        hint=f"{name}=None switches this limit off" if optional else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a call, and the process that serves it, may take. Every field can be set for one call.

    L1, one call: ``start`` (until the process is ready), ``total`` (from then on: queueing,
    writing and generating), ``first_token``, ``gap`` (between two tokens); ``call`` is the whole
    of it, a start included.
    L2, alive: every ``alive_interval`` a probe, of which ``alive_misses`` in a row may fail.
    L3, progress: no byte, token or CPU tick for ``progress`` while a call is in flight.
    L4, job: a call or job that runs longer than ``job`` costs the process its life.
    L5, flood: more than ``flood_bytes`` of stderr within ``flood_window``; ``flood_action`` None
    is ``"kill"``, but ``"warn"`` for an engine that was asked for a debug log.
    ``release`` is how long an engine may take to give back the work of an ended call.

    Raises ``MisuseError`` for a negative, infinite or not-a-number limit.
    """

    call: float | None = None  # start and total bound it already
    start: float | None = 600.0  # a 70B model from a slow disk
    total: float | None = 600.0  # no longer than L4: the call ends before the process does
    first_token: float | None = 300.0  # evaluating a long prompt on a CPU takes minutes
    gap: float | None = 60.0  # a token takes 1-2 s on the slowest machine that is bearable

    alive_interval: float | None = 30.0
    alive_timeout: float = 5.0  # a busy server answers its probe late, not never
    alive_misses: int = 3

    progress: float | None = 120.0

    job: float | None = 600.0

    flood_bytes: int | None = 10 * MiB
    flood_window: float = 60.0
    flood_action: FloodAction | None = None

    release: float = 5.0

    max_line_bytes: int = 4 * MiB
    max_message_bytes: int = 64 * MiB

    def __post_init__(self) -> None:
        """Refuse what cannot be a limit."""
        for one in fields(self):
            if one.name != "flood_action":
                _check(one.name, getattr(self, one.name), optional="None" in str(one.type))

    @property
    def patience(self) -> float | None:
        """L3 as it is applied: never shorter than an L1 limit that was asked for explicitly."""
        if self.progress is None:
            return None
        defaults = {one.name: one.default for one in fields(self)}
        asked: dict[str, float | None] = {
            "call": self.call,
            "total": self.total,
            "first_token": self.first_token,
            "gap": self.gap,
        }
        explicit = (limit for name, limit in asked.items() if limit != defaults[name])
        return max([self.progress, *(limit for limit in explicit if limit is not None)])

    def with_changes(self, **changes: Any) -> Limits:
        """Return the same limits with some fields replaced."""
        return replace(self, **changes)


NO_LIMITS = Limits(
    call=None,
    start=None,
    total=None,
    first_token=None,
    gap=None,
    alive_interval=None,
    progress=None,
    job=None,
    flood_bytes=None,
)
"""All five layers off: what each layer is tested against."""


@dataclass(frozen=True, slots=True)
class StopStep:
    """One rung: do this, then wait up to ``grace`` seconds for the exit.

    ``action`` is ``"close_stdin"`` or a signal number, sent to the whole process group.
    """

    action: Literal["close_stdin"] | int
    grace: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPolicy:
    """How a process is stopped: rungs in order, then what is swept, then how long pipes may last.

    ``sweep``: ``"all"`` kills what the child left behind, wherever it hides; ``"group"`` only its
    process group; ``"none"`` spares daemons that were started on purpose.
    ``pipe_grace`` is how long a pipe may stay open after the exit because a stranger holds it.
    """

    steps: tuple[StopStep, ...] = (
        StopStep("close_stdin", 2.0),  # a stdio server ends by itself at end of file
        StopStep(signal.SIGTERM, 10.0),
        StopStep(9, 5.0),  # SIGKILL; a process in state D is given up on and reported
    )
    sweep: SweepScope = "all"
    pipe_grace: float = 1.0

    @property
    def longest(self) -> float:
        """Upper bound in seconds of the whole policy."""
        return sum(step.grace for step in self.steps) + self.pipe_grace
