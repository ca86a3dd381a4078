"""What happened, as immutable facts. Knows nobody who listens and does nothing.

Observers receive these on an expendable thread (``observers/dispatcher.py``): one that blocks or
raises cannot delay a call, it only misses events, and the miss is counted.
Text that came from a child is untrusted: ``LineWritten.text`` has been stripped of control
characters, nothing else has been done to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import time


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events. ``source`` names the child, ``at`` is the wall clock in seconds."""

    source: str
    pid: int | None = None
    at: float = field(default_factory=time)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChosen(Event):
    """``source`` is the engine that runs a model whose user named none, ``because`` says why."""

    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStarted(Event):
    """A child was spawned."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessReady(Event):
    """A supervised child answered its readiness probe, ``after`` seconds."""

    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessExited(Event):
    """A child ended; ``wanted`` tells whether we had asked it to."""

    status: str
    wanted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LineWritten(Event):
    """A child wrote a line; ``stream`` is ``stdout`` or ``stderr``, ``level`` a logging level."""

    stream: str
    text: str
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed(Event):
    """A long job advanced: ``fraction`` of 1, or None where the total is not known."""

    what: str
    fraction: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTripped(Event):
    """One of the five layers caught something and acted."""

    layer: str
    detail: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartScheduled(Event):
    """A crashed child will be started again after ``delay`` seconds."""

    attempt: int
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PipeLeaked(Event):
    """A child is dead and somebody else still holds its pipe; it was closed on our side."""

    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DescendantSwept(Event):
    """A process that the child had left behind was killed."""

    victim: int
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFailed(Event):
    """Reading a pipe failed with something else than "try again"; the pipe was closed."""

    stream: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverFailed(Event):
    """An observer raised; it has been told once here and goes on being called."""

    observer: str
    reason: str


Observer = Callable[[Event], None]
"""Anything that can be called with an event."""
