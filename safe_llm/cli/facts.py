"""What the demo saw, as data. Measures nothing and shows nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NaiveFacts:
    """A server with an unread log. Sizes in bytes, times in seconds from its start.

    ``capacity_bytes`` is the kernel's figure for the pipe, None where it does not say. ``reason``
    is what /proc said of the standstill; ``health`` is what ``/health`` answered during it.
    """

    verbosity: int
    became_ready: bool
    answered: int
    last_answer_at: float
    seconds: float
    unread_bytes: int
    capacity_bytes: int | None
    frozen: bool
    reason: str
    health: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeFacts:
    """The same chain through ``LlamaCpp``. ``seconds`` leaves out ``start_seconds``."""

    verbosity: int
    requests: int
    answered: int
    start_seconds: float
    seconds: float
    tokens: int
    drained_bytes: int
    dropped_bytes: int
    first_answer: str

    @property
    def tokens_per_second(self) -> float:
        """Tokens generated in a second of the calls' time."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFacts:
    """The whole demo. ``left_running`` counts our processes that outlived it."""

    model: str
    server: str
    naive: tuple[NaiveFacts, ...]
    safe: SafeFacts
    left_running: int

    def as_json(self) -> dict[str, Any]:
        """Return the same as plain data."""
        data = asdict(self)
        data["safe"]["tokens_per_second"] = round(self.safe.tokens_per_second, 1)
        return data
