"""The two pictures of a freeze: a pipe that fills, and a throughput that falls off a cliff.

The only file that names matplotlib, which is loaded when a picture is asked for.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from safe_llm.errors import MissingExtra, MisuseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safe_llm.measure.figures import Row, Table

_SIZE_INCHES = (13, 4.8)
_DOTS_PER_INCH = 110
_MOST_BINS = 40
_EVENTS_A_BIN = 5
_HEADROOM = 1.08
_HIGHEST_THROUGHPUT = 2.5
_KIB = 1024


def check(path: str) -> None:
    """Refuse before anything is measured what could not be plotted afterwards.

    Raises ``MissingExtra`` without matplotlib, and ``MisuseError`` where no file can be written.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra(what="matplotlib", extra="plot")
    file = Path(path).absolute()
    if file.suffix != ".png":
        raise MisuseError(reason=f"{path!r} does not end in .png")
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise MisuseError(reason=f"{path!r} cannot be written")


def save(table: Table, path: str) -> None:
    """Write the picture into a .png file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  an extra
    from matplotlib.figure import Figure  # noqa: PLC0415  without pyplot: no state, no window

    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    draw(table, left, right)
    if left.lines:
        figure.legend(*left.get_legend_handles_labels(), loc="outside right upper")
    figure.savefig(path, dpi=_DOTS_PER_INCH)


def draw(table: Table, left: Any, right: Any) -> None:
    """Draw both panels; ``left`` and ``right`` are axes of matplotlib.

    What an engine writes nothing to is left out: its pipe is empty for ever.
    """
    filling = (row for row in table.rows if row.first_to_fill is not None)
    for number, row in enumerate(filling):
        _draw_fill(left, row, f"C{number}")
        _draw_throughput(right, row, f"C{number}")
    for axes in (left, right):
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    left.set(title="The unread pipe fills", xlabel="requests answered", ylabel="KiB unread")
    if table.pipe_bytes is not None:
        left.axhline(table.pipe_bytes / _KIB, color="black", linestyle=":", linewidth=1)
        left.set_ylim(top=table.pipe_bytes / _KIB * _HEADROOM)
    right.set(
        title="The cliff", xlabel="seconds since it was ready", ylabel="throughput (usual = 1)"
    )
    right.set_ylim(top=_HIGHEST_THROUGHPUT)


def _draw_fill(axes: Any, row: Row, colour: str) -> None:
    """What waited in the pipe; without a proof what would wait there."""
    if row.proof is not None:
        answered, unread = zip(*row.proof.looks, strict=True)
        axes.plot(answered, _in_kib(unread), color=colour, label=row.name)
        if row.proof.frozen:
            axes.plot(answered[-1], unread[-1] / _KIB, "x", color=colour, clip_on=False)
    elif row.first_to_fill is not None:
        written = row.first_to_fill.written
        axes.plot(range(len(written)), _in_kib(written), "--", color=colour, label=row.name)


def _in_kib(sizes: Sequence[int]) -> list[float]:
    return [size / _KIB for size in sizes]


def _draw_throughput(axes: Any, row: Row, colour: str) -> None:
    """Answers a second, of the unread run, or of the drained one where there is no other."""
    times, end, style = _answers(row)
    if not times:
        return
    edges, rates = throughput(times, end)
    usual = median(filter(None, rates))
    shares = [rate / usual for rate in rates]
    axes.step(edges, [*shares, shares[-1]], style, where="post", color=colour)


def _answers(row: Row) -> tuple[Sequence[float], float, str]:
    """Return when answers came, when nobody looked any more, and the style of the line."""
    drained, proof = row.drained, row.proof
    if proof is None:
        times = () if drained is None else drained.answered_at
        return times, max(times, default=0.0), "--"
    began = proof.ready_at or 0.0
    return [at - began for at in proof.answered_at], proof.seconds - began, "-"


def throughput(times: Sequence[float], end: float) -> tuple[list[float], list[float]]:
    """Return the edges of equal stretches of time until ``end``, and the events a second in each.

    Stretches are no shorter than the time that a few events take, or every one would be a spike.
    """
    last = max(times, default=end)
    bins = min(_MOST_BINS, max(1, int(len(times) / _EVENTS_A_BIN * end / last))) if last else 1
    width = end / bins
    counts = [0] * bins
    for at in times:
        counts[min(int(at / width), bins - 1)] += 1
    return [width * number for number in range(bins + 1)], [count / width for count in counts]
