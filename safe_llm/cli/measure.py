"""``safe-llm measure``: what engines log, when their unread pipe is full, and whether they freeze.

A thin shell: it says on stderr how far it is, and prints the table. ``safe_llm.measure`` measures.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Literal

from safe_llm.cli.render import Line, meter
from safe_llm.cli.screen import Screen
from safe_llm.measure import plot, render
from safe_llm.measure.catalogue import find
from safe_llm.measure.pipe import nominal_bytes
from safe_llm.measure.run import measure
from safe_llm.observers.bars import render_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safe_llm.measure.catalogue import Wanted
    from safe_llm.measure.figures import Row, Table
    from safe_llm.measure.run import Plan
    from safe_llm.measure.standstill import Look
    from safe_llm.measure.subject import Subject

Format = Literal["text", "json", "csv"]


def run(wanted: Wanted, plan: Plan, *, form: Format, picture: str | None) -> Table:
    """Measure, print to stdout, and return what was printed. Raises ``SafeLlmError``."""
    if picture is not None:
        plot.check(picture)
    found = find(wanted)
    audience = _OnScreen(len(found.subjects))
    for engine, missing in found.absent.items():
        audience.say(f"not here: {engine} ({missing.hint})")
    table = measure(found.subjects, plan, audience)
    sys.stdout.write(_FORMS[form](table).rstrip("\n") + "\n")
    if picture is not None:
        sys.stdout.flush()
        plot.save(table, picture)
        audience.say(f"drawn: {picture}")
    return table


_FORMS: Mapping[Format, Callable[[Table], str]] = {
    "text": lambda table: "\n".join(render.text(table)),
    "json": render.as_json,
    "csv": render.as_csv,
}


class _OnScreen:
    """An ``Audience`` that shows how far it is."""

    def __init__(self, total: int) -> None:
        self._screen = Screen()
        self._total = total
        self._number = 0
        self._pipe_bytes = nominal_bytes()

    def say(self, text: str) -> None:
        self._screen.show([Line(text, "dim")])

    def begins(self, subject: Subject) -> None:
        self._number += 1
        setting = f" ({subject.setting})" if subject.setting else ""
        title = f"{self._number}/{self._total} {subject.name}{setting}"
        self._screen.show([Line(title, "strong")])

    def answered(self, done: int, total: int) -> None:
        tail = f"  {done}/{total} answered"

        def draw(width: int) -> str:
            return render_bar("   drained ", done / total, width - len(tail)) + tail

        self._screen.update(done / total, draw)
        if done == total:
            self._screen.settle()

    def looked(self, look: Look) -> None:
        size = self._pipe_bytes
        fraction = look.unread_bytes / size if size else 0.0
        self._screen.update(fraction, partial(meter, look.unread_bytes, size, look.answered))

    def ends(self, row: Row) -> None:
        remark = render.remark_on(row)
        if remark:
            self._screen.show([Line(f"   {remark}", "bad")])
