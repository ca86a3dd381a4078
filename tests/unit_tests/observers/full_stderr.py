"""Programs whose own stderr is a pipe that is full and that nobody reads. Run, never imported.

The first argument chooses what listens; stdout says what happened, and the exit is part of it.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from safe_llm.events import LineWritten
from safe_llm.observers.dispatcher import Dispatcher
from safe_llm.observers.logs import LogObserver

if TYPE_CHECKING:
    from safe_llm.events import Event

BOUND = 10.0


def fill(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    for size in (65_536, 1):
        try:
            while True:
                os.write(descriptor, b"x" * size)
        except BlockingIOError:
            pass
    os.set_blocking(descriptor, True)


def own_a_full_stderr() -> int:
    reader, writer = os.pipe()
    os.dup2(writer, 2)
    os.close(writer)
    fill(2)
    return reader


def line(text: str) -> LineWritten:
    return LineWritten(source="engine", stream="stderr", text=text, level=logging.WARNING)


def stuck() -> None:
    """A handler of the user's blocks for ever: the poster and the other observer go on."""
    own_a_full_stderr()
    logging.basicConfig(stream=sys.stderr)
    entered = threading.Event()
    seen: list[Event] = []

    def log_carelessly(_: Event) -> None:
        entered.set()
        logging.getLogger("careless").warning("nobody reads this")

    dispatcher = Dispatcher(capacity=1_000, patience=0.05)
    dispatcher.post(line("first"), (log_carelessly, seen.append))
    assert entered.wait(BOUND)
    for _ in range(100):
        dispatcher.post(line("more"), (log_carelessly, seen.append))
    flushed = dispatcher.flush(BOUND)
    statistics = dispatcher.statistics()
    print(flushed, len(seen), statistics.lost, len(statistics.blocked), flush=True)
    os._exit(0)  # logging waits for the stuck handler's lock at exit, for ever


def careful() -> None:
    """Our own log observer notices the full pipe, and logs again once somebody reads."""
    reader = own_a_full_stderr()
    logging.basicConfig(stream=sys.stderr, format="%(name)s %(message)s")
    observer = LogObserver(patience=0.05)
    dispatcher = Dispatcher()
    for _ in range(10):
        dispatcher.post(line("y" * 100_000), (observer,))
    assert dispatcher.flush(BOUND)
    left_out = observer.left_out
    os.set_blocking(reader, False)
    try:
        while os.read(reader, 65_536):
            pass
    except BlockingIOError:
        pass
    os.set_blocking(reader, True)
    dispatcher.post(line("z" * 100_000), (observer,))
    assert dispatcher.flush(BOUND)
    words = os.read(reader, 65_536)
    fill(2)  # and full again while the interpreter exits
    print(left_out, observer.left_out, len(words), words[:24].decode(), flush=True)


signal.alarm(12)  # a program that gets stuck ends, even where its test does not wait for it
{"stuck": stuck, "careful": careful}[sys.argv[1]]()
