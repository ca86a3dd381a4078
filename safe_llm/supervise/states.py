"""The states of a supervised program and the only ways between them, as a table. Acts on nothing.

::

    idle ──────▶ starting ──▶ ready ◀──▶ restarting
     ▲               │          │            │
     │               ▼          ▼            ▼
     └── (wanted) ── stopping ◀─┴────────────┘ ──▶ failed ──▶ starting
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["idle", "starting", "ready", "restarting", "stopping", "failed"]

MOVES: Mapping[State, frozenset[State]] = {
    # nothing runs; the next call starts it
    "idle": frozenset({"starting"}),
    "failed": frozenset({"starting"}),
    # a process of ours runs, or is about to: calls are served, or wait for it
    "starting": frozenset({"ready", "stopping"}),
    "ready": frozenset({"restarting", "stopping"}),
    "restarting": frozenset({"ready", "stopping"}),
    # it ends; calls that come now wait for that, and then start it again
    "stopping": frozenset({"idle", "failed"}),
}

WANTED: frozenset[State] = frozenset({"starting", "ready", "restarting"})
RESTING: frozenset[State] = frozenset({"idle", "failed"})


@dataclass(frozen=True, slots=True)
class SupervisorStatistics:
    """A supervised process, or several of a kind, at one moment.

    Times in seconds in which this process ran.
    """

    state: State
    pids: tuple[int, ...]
    uptime: float
    restarts: int
    calls_in_flight: int
    stdout_bytes: int
    stderr_bytes: int
    dropped_bytes: int
    last_lines: tuple[str, ...]
