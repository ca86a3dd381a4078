"""Misspelt names become errors that say what was probably meant. Knows no parameter itself."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def refuse_unknown(owner: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raise ``MisuseError`` if one of ``names`` is not ``known``; it names the nearest."""
    unknown = [name for name in names if name not in known]
    if unknown:
        listed = ", ".join(repr(name) for name in unknown)
        raise MisuseError(
            reason=f"{owner} has no parameter {listed}",
            hint="; ".join(_nearest(name, known) for name in unknown),
        )


def _nearest(name: str, known: Collection[str]) -> str:
    nearest = get_close_matches(name, sorted(known), n=1)
    if nearest:
        return f"instead of {name!r} you probably meant {nearest[0]!r}"
    return f"nothing is spelt like {name!r}; known are {', '.join(sorted(known))}"
