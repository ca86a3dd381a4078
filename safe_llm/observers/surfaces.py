"""Where progress is shown: a terminal, a notebook cell, or two plain lines. No colour, no escapes.

There is nothing that ``NO_COLOR`` would have to switch off; a terminal that calls itself dumb gets
the two lines. IPython is imported only where a notebook has done so already.
"""

from __future__ import annotations

import os
import shutil
import sys
from html import escape
from itertools import count
from typing import TYPE_CHECKING, Protocol

from safe_llm.observers.bars import printable, render_bar, render_html
from safe_llm.observers.writability import accepts_write

if TYPE_CHECKING:
    from typing import Any, TextIO

_display_numbers = count(1)


class Surface(Protocol):
    """Where progress is shown; each job ends with exactly one ``end``."""

    def start(self, label: str) -> None:
        """Show that ``label`` has begun."""

    def update(self, label: str, fraction: float | None) -> None:
        """Show how far it is."""

    def end(self, label: str, outcome: str) -> None:
        """Show how it ended, and leave that standing."""


class Lines:
    """One line when a job starts and one when it ends: for files, pipes and dumb terminals."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``, when it takes the line without blocking."""
        self._stream = stream

    def start(self, label: str) -> None:
        """Say that it has begun."""
        self._write(f"{printable(label)} ...\n")

    def update(self, label: str, fraction: float | None) -> None:
        """Say nothing: this may be somebody's log file."""

    def end(self, label: str, outcome: str) -> None:
        """Say how it ended."""
        self._write(f"{printable(f'{label}: {outcome}')}\n")

    def _write(self, text: str) -> None:
        # Being stuck here would not delay a call, but interpreter exit, which flushes stderr.
        if accepts_write(self._stream, 0.0):
            self._stream.write(text)
            self._stream.flush()


class Terminal(Lines):
    """One line that is written over and over, with carriage return and spaces alone."""

    def __init__(self, stream: TextIO) -> None:
        """Draw on ``stream``, which is a terminal."""
        super().__init__(stream)
        self._shown = ""

    def start(self, label: str) -> None:
        """Draw a job whose end is not in sight."""
        self.update(label, None)

    def update(self, label: str, fraction: float | None) -> None:
        """Draw the bar, if it looks different from what stands there."""
        # The last column stays free: many terminals wrap as soon as it is written.
        line = render_bar(label, fraction, shutil.get_terminal_size().columns - 1)
        if line != self._shown:
            self._draw(line)

    def end(self, label: str, outcome: str) -> None:
        """Draw the last line and leave it."""
        self._draw(printable(f"{label}: {outcome}"))
        self._write("\n")
        self._shown = ""

    def _draw(self, line: str) -> None:
        self._write("\r" + line.ljust(len(self._shown)))
        self._shown = line


class NotebookCell:
    """A bar that is replaced in place, by the display protocol of notebooks."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._ids: dict[str, str] = {}

    def start(self, label: str) -> None:
        """Put a bar into the cell."""
        self._ids[label] = f"safe-llm-progress-{os.getpid()}-{next(_display_numbers)}"
        self._display(label, None, f"{label} ...", update=False)

    def update(self, label: str, fraction: float | None) -> None:
        """Move the bar."""
        self._display(label, fraction, render_bar(label, fraction, 79), update=True)

    def end(self, label: str, outcome: str) -> None:
        """Replace the bar by the outcome."""
        text = printable(f"{label}: {outcome}")
        self._publish(self._ids.pop(label), text, escape(text), update=True)

    def _display(self, label: str, fraction: float | None, text: str, *, update: bool) -> None:
        self._publish(self._ids[label], text, render_html(label, fraction), update=update)

    def _publish(self, display_id: str, text: str, html: str, *, update: bool) -> None:
        from IPython.display import display  # noqa: PLC0415  optional, and loaded already

        show: Any = display  # untyped
        bundle = {"text/plain": text, "text/html": html}
        show(bundle, raw=True, display_id=display_id, update=update)


def in_notebook() -> bool:
    """Tell whether a kernel runs this code, without importing anything."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def find_surface(stream: TextIO | None = None) -> Surface | None:
    """Return what fits this process and ``stream`` (default: stderr); None where there is none."""
    if stream is None and in_notebook():
        return NotebookCell()
    stream = sys.stderr if stream is None else stream
    if stream is None or stream.closed:  # a program without a console has no stderr
        return None
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return Terminal(stream)
    return Lines(stream)
