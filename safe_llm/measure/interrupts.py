"""Makes Ctrl-C wait while something is made or removed that must not be left half done.

Ctrl-C raises ``KeyboardInterrupt`` between any two instructions, in those of the standard library
too: one inside of ``tempfile`` left a file behind. And in those of a finalizer, where it is lost.
"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from types import FrameType

_AGAIN = 0.05  # seconds; a finalizer takes less

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


@contextmanager
def kept_interrupts() -> Iterator[None]:
    """Have ``KeyboardInterrupt`` raised again in the main thread, where one got lost in the block.

    The interpreter prints and forgets what is raised in a finalizer or in a callback of its own.
    """
    before = sys.unraisablehook

    def take(dropped: sys.UnraisableHookArgs) -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            _interrupt_later()
        else:
            before(dropped)

    sys.unraisablehook = take
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Take SIGTERM in the block for Ctrl-C, so that it is held, kept and handled as that is.

    `timeout` and service managers send it; unhandled it leaves on disk what was made there. Does
    nothing outside of the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_: int, frame: FrameType | None) -> None:
        handler = signal.getsignal(signal.SIGINT)  # ignored, where a shell runs it in background
        (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt_later() -> None:
    main = threading.main_thread().ident
    if main is not None:
        again = threading.Timer(_AGAIN, partial(signal.pthread_kill, main, signal.SIGINT))
        again.daemon = True
        again.start()
