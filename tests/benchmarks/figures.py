"""What was measured, what stood beside it, and what is aimed at. Pure; measures nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Measure = Literal["ours", "ratio", "excess"]


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for our figure, for its ratio to the reference, or for what exceeds that."""

    measure: Measure
    relation: Literal["<=", ">="]
    bound: float

    def describe(self, unit: str) -> str:
        """Say what is aimed at."""
        suffix = "" if self.measure == "ratio" or not unit else f" {unit}"
        return f"{self.measure} {self.relation} {self.bound:g}{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the report. ``ours`` and ``reference`` in ``unit``; ``beside`` says beside what.

    ``note`` is for what a number cannot say.
    """

    what: str
    unit: str
    ours: float
    reference: float | None = None
    beside: str = ""
    target: Target | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours by the reference's."""
        return self.ours / self.reference if self.reference else None

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None without a target, or without what it is measured by."""
        if self.target is None:
            return None
        value = self._measured(self.target.measure)
        if value is None:
            return None
        met_at_most = value <= self.target.bound
        return met_at_most if self.target.relation == "<=" else value >= self.target.bound

    def as_json(self) -> dict[str, Any]:
        """Return the row for programs."""
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": self.ours,
            "reference": self.reference,
            "beside": self.beside,
            "ratio": self.ratio,
            "target": self.target.describe(self.unit) if self.target else None,
            "holds": self.holds,
            "note": self.note,
        }

    def _measured(self, measure: Measure) -> float | None:
        if measure == "ours":
            return self.ours
        if measure == "ratio":
            return self.ratio
        return None if self.reference is None else self.ours - self.reference


def at_most(bound: float, measure: Measure = "ratio") -> Target:
    """Aim at no more than this."""
    return Target(measure, "<=", bound)


def at_least(bound: float, measure: Measure = "ratio") -> Target:
    """Aim at no less than this."""
    return Target(measure, ">=", bound)
