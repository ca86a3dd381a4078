"""The two pictures of a freeze: a pipe that fills, and a throughput that falls off a cliff.

The only file that names matplotlib, which is loaded when a picture is asked for.
"""

from __future__ import annotations

import importlib.util
import os
from itertools import chain, pairwise
from math import ceil
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from safe_llm.errors import MissingExtra, MisuseError
from safe_llm.measure.render import frozen_when

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safe_llm.measure.figures import Row, Table

_WIDTH_INCHES, _ROW_INCHES, _MARGIN_INCHES = 12.0, 2.0, 1.2
_DOTS_PER_INCH = 100
_LEAST_A_STEP, _MOST_STEPS = 5, 40  # answers, or each would be a spike; steps of a line
_HEADROOM = 1.12
_KIB = 1024
_LINE, _FREEZE = "tab:blue", "tab:red"
_TITLE = "A pipe that nobody reads fills up, and the throughput falls off a cliff"
_CAPTION_COLUMNS = 150


def check(path: str) -> None:
    """Refuse before anything is measured what could not be plotted afterwards.

    Raises ``MissingExtra`` without matplotlib, and ``MisuseError`` where no file can be written.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra(what="matplotlib", extra="plot")
    file = Path(path).absolute()
    if not file.parent.is_dir():
        raise MisuseError(reason=f"cannot write {path!r}: there is no folder {str(file.parent)!r}")
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise MisuseError(reason=f"cannot write {path!r}: it is a folder, or write-protected")


def save(table: Table, path: str) -> None:
    """Write the picture into a .png file: two panels for each row whose pipe fills."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  an extra
    from matplotlib.figure import Figure  # noqa: PLC0415  without pyplot: no state, no window

    filling = [row for row in table.rows if row.first_to_fill is not None]
    height = _MARGIN_INCHES + _ROW_INCHES * len(filling)
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
    FigureCanvasAgg(figure)
    if filling:
        panels = figure.subplots(len(filling), 2, squeeze=False)
        draw(filling, panels, table.pipe_bytes)
    figure.suptitle(_TITLE)
    figure.supxlabel(_caption(table, filling), fontsize="small")
    figure.savefig(path, dpi=_DOTS_PER_INCH)


def _caption(table: Table, filling: Sequence[Row]) -> str:
    """Say what the lines are, and what has none."""
    lines = []
    if any(row.proof is None for row in filling):
        lines.append("dashed: drained, so that nothing freezes; what would wait in the pipe")
    never = [row.name for row in table.rows if row.drained is not None and row not in filling]
    if never:
        lines.append(f"not drawn, as their pipe never fills: {', '.join(never)}")
    return "\n".join(
        chain.from_iterable(wrap(line, _CAPTION_COLUMNS, break_on_hyphens=False) for line in lines)
    )


def draw(rows: Sequence[Row], panels: Any, pipe_bytes: int | None) -> None:
    """Draw the rows into ``panels``, pairs of matplotlib's axes.

    Each has scales of its own: the first may freeze within a second, and the next after minutes.
    """
    for row, (left, right) in zip(rows, panels, strict=True):
        _draw_fill(left, row)
        _draw_throughput(right, row)
        left.set_title(f"{row.name}: {_outcome(row)}", loc="left", fontsize="medium")
        left.set(ylabel="KiB unread")
        left.xaxis.get_major_locator().set_params(integer=True)
        right.set(ylabel="answers a second")
        for axes in (left, right):
            axes.set_xlim(left=0)
            axes.set_ylim(bottom=0)
        if pipe_bytes is not None:
            left.axhline(pipe_bytes / _KIB, color="black", linestyle=":", linewidth=1)
            left.set_ylim(top=pipe_bytes / _KIB * _HEADROOM)
    panels[-1][0].set_xlabel("requests answered (dotted: the pipe's size by name)")
    panels[-1][1].set_xlabel("seconds since it was ready")


def _outcome(row: Row) -> str:
    proof = row.proof
    if proof is None:
        return "drained"
    return frozen_when(proof) if proof.frozen else f"not frozen in {proof.answered:,} requests"


def _draw_fill(axes: Any, row: Row) -> None:
    """What waited in the pipe; without a proof what would wait there."""
    if row.proof is not None:
        answered, unread = zip(*row.proof.looks, strict=True)
        axes.set_xlim(right=max(1, answered[-1]) * _HEADROOM)
        axes.plot(answered, _in_kib(unread), color=_LINE, clip_on=False)
        if row.proof.frozen:
            axes.plot(answered[-1], unread[-1] / _KIB, "X", color=_FREEZE, clip_on=False)
    elif row.first_to_fill is not None:
        written = row.first_to_fill.written
        axes.plot(range(len(written)), _in_kib(written), "--", color=_LINE)


def _in_kib(sizes: Sequence[int]) -> list[float]:
    return [size / _KIB for size in sizes]


def _draw_throughput(axes: Any, row: Row) -> None:
    """Answers a second, of the unread run, or of the drained one where there is no other."""
    drained, proof = row.drained, row.proof
    if proof is None:
        edges, rates = throughput(() if drained is None else drained.answered_at)
        axes.stairs(rates, edges, baseline=None, color=_LINE, linestyle="--")
        return
    began = proof.ready_at
    if began is None:
        axes.text(0.5, 0.5, "never ready", color=_FREEZE, ha="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    edges, rates = throughput([at - began for at in proof.answered_at])
    axes.stairs(rates, edges, fill=True, color=_LINE, alpha=0.2)
    axes.stairs(rates, edges, baseline=None, color=_LINE)
    if proof.frozen:
        end = proof.seconds - began
        axes.plot(
            [edges[-1], edges[-1], end], [(rates or [0.0])[-1], 0.0, 0.0], color=_FREEZE, lw=2
        )


def throughput(times: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the edges of stretches of time, and the answers a second in each.

    A stretch begins and ends with an answer, so that the last edge is where the throughput falls,
    and not somewhere in an interval that happens to begin before and to end after it.
    """
    step = max(_LEAST_A_STEP, ceil(len(times) / _MOST_STEPS))
    ends = [*range(step, len(times), step), len(times)] if times else []
    edges = [0.0, *(times[end - 1] for end in ends)]
    counts = [after - before for before, after in pairwise([0, *ends])]
    rates = [
        count / (after - before)
        for count, (before, after) in zip(counts, pairwise(edges), strict=True)
    ]
    return edges, rates
