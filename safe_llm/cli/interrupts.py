"""Makes Ctrl-C wait while something is made or removed that must not be left half done.

Ctrl-C raises ``KeyboardInterrupt`` between any two instructions, in those of the standard library
too: one inside of ``tempfile`` left a file behind.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def held_interrupts() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` at the end of the block, if Ctrl-C was pressed inside of it.

    For short and bounded blocks, and for the main thread, which is where Python handles signals.
    """
    pressed = False

    def remember(*_: object) -> None:
        nonlocal pressed
        pressed = True

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
