"""One thread, one selector: descriptors, timers and posted commands. Knows nothing of children.

It runs no code of users, logs nothing, takes no lock and blocks on nothing but its selector.
It survives whatever a handler raises: the handler is dropped and told, the loop goes on.
"""

from __future__ import annotations

import os
import selectors
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from safe_llm.process.clock import PERIOD, RunClock
from safe_llm.process.timers import Timer, Timers
from safe_llm.process.waking import retire_this_thread, serve_from_this_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EXITS, WRITES, DATA = 0, 1, 2  # in this order within a turn
_COMMANDS_A_TURN = 16  # a spawn takes milliseconds: a thousand of them must not delay the drains
_KEPT_ERRORS = 32


@dataclass(eq=False, slots=True)
class Watch:
    """A registered descriptor. ``abandon`` is told the error that ended ``ready``."""

    fd: int
    rank: int
    ready: Callable[[], None]
    abandon: Callable[[BaseException], None]
    active: bool = True


class Loop:
    """A selector loop on a daemon thread. Everything but ``post`` is for that thread alone."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.clock = RunClock()
        self.errors: deque[str] = deque(maxlen=_KEPT_ERRORS)
        self.turns = 0
        self.now = 0.0  # when this turn began to act: one look at the clock serves all its chunks
        self._timers = Timers()
        self._selector = selectors.DefaultSelector()
        self._watches: dict[int, Watch] = {}
        self._commands: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._abandoned = False
        self._wake_reader, self._wake_writer = _wake_pair()
        self._selector.register(self._wake_reader, selectors.EVENT_READ, None)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; a loop is started once."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def post(self, command: Callable[[], object]) -> None:
        """Have ``command`` run on the loop soon. From any thread, a finalizer, a signal handler."""
        if self._abandoned:
            return
        self._commands.put(command)
        with suppress(BlockingIOError):  # it is full of wake-ups already
            os.write(self._wake_writer, b"\1\0\0\0\0\0\0\0")

    def call_later(self, delay: float, action: Callable[[], object]) -> Timer:
        """Run ``action`` when this process has run for ``delay`` seconds more."""
        return self._timers.add(self.clock.now() + delay, action)

    def watch(
        self,
        fd: int,
        rank: int,
        ready: Callable[[], None],
        abandon: Callable[[BaseException], None],
    ) -> Watch:
        """Call ``ready`` whenever ``fd`` is: writable for WRITES, readable for all others."""
        events = selectors.EVENT_WRITE if rank == WRITES else selectors.EVENT_READ
        watch = Watch(fd, rank, ready, abandon)
        self._selector.register(fd, events, watch)
        self._watches[fd] = watch
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Stop watching; its events of this very turn are ignored too."""
        if watch.active:
            watch.active = False
            self._selector.unregister(watch.fd)
            del self._watches[watch.fd]

    def forget(self, fds: Iterable[int]) -> None:
        """Stop watching these, if they are watched."""
        for fd in fds:
            if fd in self._watches:
                self.unwatch(self._watches[fd])

    def abandon_in_fork(self) -> None:
        """In a forked child: give up our copies of the descriptors, touching nothing of the parent.

        What is posted from now on is dropped: the number of our wake-up descriptor may soon belong
        to a file of somebody else.

        Nothing is unregistered: that would take the *parent's* registrations out of the epoll
        instance that the two processes share. Its descriptor is closed by its owner, or that would
        close the number once more when it is collected, whoever has it by then.
        """
        self._abandoned = True
        with suppress(OSError):  # a kqueue is not inherited
            self._selector.close()
        for fd in {self._wake_reader, self._wake_writer, *self._watches}:
            with suppress(OSError):
                os.close(fd)

    def _run(self) -> None:
        serve_from_this_thread()
        self.clock.resume()
        try:
            while True:
                self._guarded(self._turn)
        finally:
            retire_this_thread()

    def _turn(self) -> None:
        self.turns += 1
        ready = self._select()
        self._run_commands()
        self.now = self.clock.now()
        for action in self._timers.take_due(self.now):
            self._guarded(action)
        if len(ready) > 1:
            ready.sort(key=_by_rank)
        for watch in ready:
            if watch.active:
                self._serve(watch)

    def _select(self) -> list[Watch]:
        delay = self._timers.delay(self.clock.now())
        idle = delay is None and not self._watches
        timeout = None if idle else min(PERIOD, PERIOD if delay is None else delay)
        events = self._selector.select(timeout)
        if idle:
            self.clock.resume()
        else:
            self.clock.tick()
        ready = [key.data for key, _ in events]
        if None in ready:
            ready.remove(None)
            os.read(self._wake_reader, 4096)  # before the queue: who posts after this wakes again
        return ready

    def _run_commands(self) -> None:
        for _ in range(_COMMANDS_A_TURN):
            if self._commands.empty():
                return
            self._guarded(self._commands.get_nowait())
        self.post(_nothing)  # there may be more: come back right after the data

    def _serve(self, watch: Watch) -> None:
        try:
            watch.ready()
        except Exception as error:
            self._note(error)
            self.unwatch(watch)
            self._guarded(partial(watch.abandon, error))

    def _guarded(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            self._note(error)

    def _note(self, error: BaseException) -> None:
        self.errors.append(f"{type(error).__name__}: {error}")


def _by_rank(watch: Watch) -> int:
    return watch.rank


def _nothing() -> None:
    return


def _wake_pair() -> tuple[int, int]:
    if sys.platform == "linux":
        both = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return both, both
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    return reader, writer
