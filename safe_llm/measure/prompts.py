"""What engines are asked: a beginning to be continued, whatever template questions would need."""

from __future__ import annotations

COUNTRIES = ("France", "Italy", "Japan", "Egypt", "Norway", "Peru", "Kenya", "Greece", "Chile")
TEMPLATE = "The capital of {country} is"
MAX_TOKENS = 16  # a sentence or two


def country(number: int) -> str:
    """Return what the ``number``-th request asks about."""
    return COUNTRIES[number % len(COUNTRIES)]


def prompt(number: int) -> str:
    """Return the prompt of the ``number``-th request."""
    return TEMPLATE.format(country=country(number))
