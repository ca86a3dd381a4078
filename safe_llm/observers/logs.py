"""Turns events into ``logging`` records. Configures no logging and shows nothing by itself.

Lines of a child go to ``safe_llm.engine.<source>``, everything else to ``safe_llm.process``.
A handler that raises is the dispatcher's business (counted, told once); the handlers of the
standard library do not raise but call ``Handler.handleError``, as a full disk makes them do.
"""

from __future__ import annotations

import logging
from shlex import join
from typing import TYPE_CHECKING

from safe_llm.events import (
    DescendantSwept,
    EngineChosen,
    Event,
    LayerTripped,
    LineWritten,
    PipeLeaked,
    ProcessExited,
    ProcessReady,
    ProcessStarted,
    Progressed,
    RestartScheduled,
    StreamFailed,
)
from safe_llm.observers.counters import Tally
from safe_llm.observers.writability import ATOMIC_WRITE_BYTES, accepts_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_PATIENCE = 1.0  # seconds that a slow reader of our own stderr gets before records are left out
_MAX_TEXT_BYTES = ATOMIC_WRITE_BYTES - 1_024  # the rest is for what a formatter puts around it

Said = tuple[str, int, str]
"""Logger name, level, text."""


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f" {fraction:.0%}"


# What is said about an event, and how loud. Failed observers are missing: whether anybody listens
# here or not, the dispatcher tells logging about those itself.
_WORDING: dict[type[Event], tuple[int, Callable[[Any], str]]] = {
    EngineChosen: (logging.INFO, lambda event: f"was chosen: {event.because}"),
    ProcessStarted: (logging.INFO, lambda event: f"started: {join(event.argv)}"),
    ProcessReady: (logging.INFO, lambda event: f"ready after {event.after:.3g} s"),
    ProcessExited: (logging.INFO, lambda event: f"ended as asked: {event.status}"),
    Progressed: (logging.DEBUG, lambda event: f"{event.what}{_percent(event.fraction)}"),
    LayerTripped: (
        logging.WARNING,
        lambda event: f"{event.layer}: {event.detail}; {event.action}",
    ),
    RestartScheduled: (
        logging.WARNING,
        lambda event: f"will be started again in {event.delay:.3g} s (attempt {event.attempt})",
    ),
    PipeLeaked: (
        logging.WARNING,
        lambda event: f"is dead, but somebody else holds its {event.stream}; closed on our side",
    ),
    DescendantSwept: (
        logging.WARNING,
        lambda event: f"left process {event.victim} behind, which was killed: {event.command}",
    ),
    StreamFailed: (
        logging.WARNING,
        lambda event: f"{event.stream} cannot be read and was closed: {event.reason}",
    ),
}


def describe(event: Event) -> Said | None:
    """Return what is said about ``event``; None where that is nothing."""
    if isinstance(event, LineWritten):
        return f"safe_llm.engine.{event.source.replace('.', '_')}", event.level, event.text
    if type(event) not in _WORDING:
        return None
    level, wording = _WORDING[type(event)]
    text = wording(event)
    if isinstance(event, ProcessExited) and not event.wanted:
        level, text = logging.WARNING, f"ended by itself: {event.status}"
    pid = "" if event.pid is None else f" (pid {event.pid})"
    return "safe_llm.process", level, f"{event.source}{pid}: {text}"


def shorten(text: str, max_bytes: int = _MAX_TEXT_BYTES) -> str:
    """Return ``text``, or its beginning and how much is missing, in at most ``max_bytes``."""
    raw = text.encode(errors="replace")
    if len(raw) <= max_bytes:
        return text
    note = f" … {len(raw)} bytes in all"
    room = max(0, max_bytes - len(note.encode()))
    return raw[:room].decode(errors="ignore") + note


class LogObserver:
    """Logs every event; ``left_out`` counts the records that our own full stderr would have held.

    Being stuck in a handler costs the calls nothing, but whoever is stuck there holds the
    handler's lock, and ``logging`` takes that lock at interpreter exit, without a bound: so a
    terminal or pipe that nobody reads is noticed *before* the write. For the same reason a text
    is cut to what such a pipe takes at once (3,072 bytes, and how long it was).
    """

    def __init__(
        self, *, patience: float = _PATIENCE, describe: Callable[[Event], Said | None] = describe
    ) -> None:
        """Give a slow reader ``patience`` seconds, once until it reads again."""
        self._patience = patience
        self._describe = describe
        self._full = False
        self._left_out = Tally()

    @property
    def left_out(self) -> int:
        """How many records were not handed to ``logging``."""
        return self._left_out.total

    def __call__(self, event: Event) -> None:
        """Log ``event`` with its own time, unless nobody would see it or the write would block."""
        said = self._describe(event)
        if said is None:
            return
        name, level, text = said
        logger = logging.getLogger(name)
        if not logger.isEnabledFor(level):
            return
        self._full = not self._accepts(logger)
        if self._full:
            self._left_out.add()
            return
        logger.handle(_record(logger, level, shorten(text), event))

    def _accepts(self, logger: logging.Logger) -> bool:
        timeout = 0.0 if self._full else self._patience
        return all(accepts_write(stream, timeout) for stream in _streams(logger))


def _record(logger: logging.Logger, level: int, text: str, event: Event) -> logging.LogRecord:
    extra = {"source": event.source, "source_pid": event.pid}
    record = logger.makeRecord(logger.name, level, "", 0, "%s", (text,), None, extra=extra)
    # The record is made later than the event, on another thread; a log wants the event's time.
    record.created = event.at
    record.msecs = int(event.at % 1 * 1_000)
    return record


def _streams(logger: logging.Logger) -> Iterator[object]:
    """Yield the streams that a record of ``logger`` will be written to."""
    found = False
    above: logging.Logger | None = logger
    while above is not None:
        for handler in above.handlers:
            found = True
            yield getattr(handler, "stream", None)
        above = above.parent if above.propagate else None
    if not found and logging.lastResort is not None:
        yield getattr(logging.lastResort, "stream", None)
