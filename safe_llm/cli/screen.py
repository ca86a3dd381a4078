"""Prints lines, and one line that changes, on a terminal or into a file. Composes no text."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TextIO

    from safe_llm.cli.render import Line, Tone

_STYLES: Mapping[Tone, str] = {"strong": "1", "bad": "31", "good": "32", "dim": "2"}
_FILE_WIDTH = 100  # columns of a file, which has none
_STEPS_IN_A_FILE = 4  # a log shows a quarter, a half, three quarters and the end


class Screen:
    """Where the talk goes: a terminal, where the last line may change, or anything else.

    Colours are used on a terminal that is not dumb, unless ``NO_COLOR`` is set (no-color.org).
    """

    def __init__(self, stream: TextIO | None = None, env: Mapping[str, str] = os.environ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._redraws = self._stream.isatty() and env.get("TERM") != "dumb"
        self._colours = self._redraws and not env.get("NO_COLOR")
        self._shown = ""
        self._step = -1

    @property
    def width(self) -> int:
        """Columns of a line that changes; the last one stays free, or terminals would wrap."""
        return shutil.get_terminal_size().columns - 1 if self._redraws else _FILE_WIDTH

    def show(self, lines: Iterable[Line]) -> None:
        """Print lines that stay."""
        self.settle()
        for line in lines:
            style = _STYLES.get(line.tone) if self._colours and line.text else None
            text = f"\x1b[{style}m{line.text}\x1b[0m" if style else line.text
            self._stream.write(text + "\n")
        self._stream.flush()

    def update(self, fraction: float, draw: Callable[[int], str]) -> None:
        """Draw the changing line anew; ``draw`` is given the width.

        Where nothing can be redrawn it is printed each time that a quarter more is done.
        """
        if self._redraws:
            self._redraw(draw(self.width))
            return
        step = int(fraction * _STEPS_IN_A_FILE)
        if step > self._step:
            self._step = step
            self._stream.write(draw(self.width).rstrip() + "\n")
            self._stream.flush()

    def settle(self) -> None:
        """Leave the changing line as it stands, and go on below it."""
        if self._shown:
            self._stream.write("\n")
            self._stream.flush()
        self._shown, self._step = "", -1

    def _redraw(self, line: str) -> None:
        if line != self._shown:
            self._stream.write("\r" + line.ljust(len(self._shown)))
            self._stream.flush()
            self._shown = line
