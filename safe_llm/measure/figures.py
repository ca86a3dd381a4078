"""What was measured, as data. Measures nothing and shows nothing.

Sizes in bytes, times in seconds. None means that there is nothing to be said: the stream carries
a protocol, the pipe never fills, or the run was not made.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from safe_llm.measure.quoted import NOTHING_QUOTED, Quoted, quoted
from safe_llm.measure.subject import Label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.measure.subject import StreamName, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFigures:
    """One stream's log: how much before the first request, and how much a request (the median).

    A pipe of this machine takes ``capacity_bytes`` of it, when nobody reads, and with them the
    log of ``requests_until_full`` requests. ``written`` is what had been written in all when the
    engine was ready and after each request.
    """

    start_bytes: int
    request_bytes: float
    capacity_bytes: int | None
    requests_until_full: int | None
    written: tuple[int, ...] = ()

    @property
    def is_full_at_start(self) -> bool:
        """Whether the pipe is full before there is a first request."""
        return self.capacity_bytes is not None and self.start_bytes > self.capacity_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """An engine whose pipes are drained. ``answered_at`` leaves out the start and the pauses."""

    start_seconds: float
    answered_at: tuple[float, ...]
    streams: Mapping[StreamName, StreamFigures]

    @property
    def first_to_fill(self) -> StreamFigures | None:
        """The stream whose pipe would be full first; None when none ever is."""
        filling = [one for one in self.streams.values() if one.requests_until_full is not None]
        return min(filling, key=lambda one: one.requests_until_full or 0, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """An engine whose log nobody reads, watched until it stood still or for as long as was agreed.

    ``reason`` is what /proc said of the standstill, or how it ended without one. ``ready_at`` and
    ``answered_at`` count from its start; ``looks`` are pairs of answers and unread bytes.
    """

    frozen: bool
    ready_at: float | None
    answered: int
    seconds: float
    unread_bytes: int
    reason: str
    answered_at: tuple[float, ...] = ()
    looks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Label):
    """All that was measured of one subject; ``failure`` says why there is nothing."""

    drained: Drained | None = None
    proof: Proof | None = None
    failure: str = ""
    quoted: Quoted = field(default=NOTHING_QUOTED)

    @property
    def first_to_fill(self) -> StreamFigures | None:
        """The stream whose pipe would be full first; None when none is, or nothing is known."""
        return None if self.drained is None else self.drained.first_to_fill

    @classmethod
    def of(cls, subject: Subject, **measured: Any) -> Row:
        """Return the row of a subject."""
        label = {one.name: getattr(subject, one.name) for one in fields(Label)}
        return cls(**label, quoted=quoted(subject.engine, subject.verbosity), **measured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A whole measurement.

    ``pipe_bytes`` is the kernel's figure for a new pipe, ``requests`` how many each drained engine
    was sent.
    """

    system: str
    pipe_bytes: int | None
    requests: int
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the same as plain data."""
        return asdict(self)
