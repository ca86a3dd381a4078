"""Runs that take turns, so that a machine that is busy with other things is busy for both."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
U = TypeVar("U")


def alternate(rounds: int, one: Callable[[], T], other: Callable[[], U]) -> tuple[list[T], list[U]]:
    """Run both ``rounds`` times, each first every second time; return what each gave."""
    ones: list[T] = []
    others: list[U] = []
    for turn in range(rounds):
        if turn % 2 == 0:
            ones.append(one())
        others.append(other())
        if turn % 2 == 1:
            ones.append(one())
    return ones, others


def middle(values: Iterable[float]) -> float:
    """Return the median."""
    return float(median(values))
