"""Rows of figures as a table of text. Pure; prints and measures nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEADINGS = ("what", "ours", "reference", "ratio", "target", "holds")
_VERDICTS = {True: "yes", False: "NO", None: ""}
_GAP = "  "


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table of rows as ``Figure.as_json`` gives them, notes below it."""
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS))]
    lines = [_line(line, widths) for line in cells]
    lines.insert(1, _GAP.join("-" * width for width in widths))
    return [*lines, *(f"  {row['what']}: {row['note']}" for row in rows if row["note"])]


def number(value: float | None, unit: str = "") -> str:
    """Return three significant digits and the unit, nothing for None."""
    if value is None:
        return ""
    digits = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{digits} {unit}".strip()


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    reference = number(row["reference"], row["unit"])
    return (
        row["what"],
        number(row["ours"], row["unit"]),
        f"{reference} ({row['beside']})" if row["beside"] else reference,
        number(row["ratio"]),
        row["target"] or "",
        _VERDICTS[row["holds"]],
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return _GAP.join(padded).rstrip()
