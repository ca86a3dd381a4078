"""Draws how far a job is, as text or as HTML. Pure: writes nothing and knows no terminal."""

from __future__ import annotations

from html import escape

_MAX_BAR = 40  # columns; longer bars tell no more
_MIN_BAR = 8


def render_bar(label: str, fraction: float | None, width: int) -> str:
    """Return one line of at most ``width`` columns: the label, a bar, and the percentage."""
    label = printable(label)
    if fraction is None:
        return f"{label} ..."[:width]
    share = min(max(fraction, 0.0), 1.0)
    percent = f"{share:4.0%}"
    columns = min(_MAX_BAR, width - len(label) - len(percent) - 4)
    if columns < _MIN_BAR:
        return f"{label[: max(0, width - len(percent) - 1)]} {percent}"[:width]
    filled = int(share * columns)
    return f"{label} [{'#' * filled}{'.' * (columns - filled)}] {percent}"


def render_html(label: str, fraction: float | None) -> str:
    """Return the same for a notebook."""
    value = "" if fraction is None else f' max="1" value="{min(max(fraction, 0.0), 1.0):.3f}"'
    return f"<progress{value}></progress> {escape(printable(label))}"


def printable(text: str) -> str:
    """Return ``text`` without anything that could move a cursor or end the line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
