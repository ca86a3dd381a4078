"""Makes Ctrl-C wait while something is made or removed that must not be left half done.

Ctrl-C raises ``KeyboardInterrupt`` between any two instructions, in those of the standard library
too: one inside of ``tempfile`` left a file behind.
"""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

_Made = TypeVar("_Made")


@contextmanager
def held_interrupts() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` at the end of the block, if Ctrl-C was pressed inside of it.

    For short and bounded blocks. Does nothing outside of the main thread, where Python handles
    signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
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


@contextmanager
def made_whole(context: AbstractContextManager[_Made]) -> Iterator[_Made]:
    """Enter and leave ``context`` with interrupts held; inside of the block they are not."""
    made = ExitStack()
    try:
        with held_interrupts():
            value = made.enter_context(context)
        yield value
    finally:
        with held_interrupts():
            made.close()
