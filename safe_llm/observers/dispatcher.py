"""Hands events to observers on one expendable thread. Never makes the one who posts wait.

``post`` is called by the threads that every call depends on. It takes no lock (those below are
only *tried*), starts threads without waiting for them, and runs none of the observer's code. An
observer that raises is reported once and goes on being called; one that blocks is given up on
after ``patience``: it keeps the thread that it holds and loses its events, counted, until it
returns, while a fresh thread serves the others. An observer is never in two calls at once.
"""

from __future__ import annotations

import _thread
import atexit
import os
import threading
import weakref
from collections import OrderedDict
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from safe_llm.errors import MisuseError
from safe_llm.events import Event, LineWritten, Observer, ObserverFailed, Progressed
from safe_llm.observers.calling import Call, Worker
from safe_llm.observers.counters import DispatcherStatistics, Tally
from safe_llm.observers.failures import FAILURE_LOG, name_of, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

_CAPACITY = 10_000  # deliveries; lines of 100 bytes then hold a few MiB
_RESERVE = 1_000  # room that a flood of lines cannot take from the rare events
_PATIENCE = 5.0  # seconds; a network log handler that is slow is not yet one that hangs
_MAX_ABANDONED = 3  # threads; a fourth observer that blocks stops the dispatching, not the calls
_MAX_REMEMBERED = 256  # observers that have been reported; beyond, the oldest may be again
_EXIT_GRACE = 0.5  # seconds that interpreter exit may spend on the last events


class _Delivery(NamedTuple):
    event: Event
    observer: Observer
    audience: tuple[Observer, ...]


class Dispatcher:
    """A bounded queue of deliveries and the thread that makes them; empty again after a fork.

    ``capacity`` is in deliveries, ``patience`` in seconds. Most programs want ``dispatcher()``.
    """

    def __init__(self, *, capacity: int = _CAPACITY, patience: float = _PATIENCE) -> None:
        self._capacity = capacity
        self._patience = patience
        self._start_empty()
        _everyone.add(self)

    def _start_empty(self) -> None:
        self._queue: SimpleQueue[_Delivery | threading.Event] = SimpleQueue()
        self._attending = _thread.allocate_lock()
        self._worker: Worker | None = None
        self._blocked: dict[int, Observer] = {}
        self._reported: OrderedDict[int, Observer] = OrderedDict()
        self._delivered, self._failed, self._dropped = Tally(), Tally(), Tally()
        self._lost, self._failed_starts = Tally(), Tally()

    def post(self, event: Event, observers: tuple[Observer, ...]) -> None:
        """Queue ``event`` for ``observers``; return at once, whatever they do. Never raises."""
        room = self._capacity
        if not isinstance(event, (LineWritten, Progressed)):
            room += _RESERVE
        for observer in observers:
            if self._queue.qsize() < room:
                self._queue.put(_Delivery(event, observer, observers))
            else:
                self._dropped.add()
        if observers:
            self._attend()

    def flush(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds; True if all that was posted before is dealt with.

        Dealt with is also what was lost on an observer that blocks. Raises ``MisuseError`` in an
        observer, which would wait for itself.
        """
        if isinstance(threading.current_thread(), Worker):
            raise MisuseError(reason="an observer cannot flush the dispatcher that is calling it")
        if self._worker is None and self._queue.empty():
            return True
        reached = threading.Event()
        self._queue.put(reached)
        deadline = monotonic() + timeout
        while not reached.is_set():
            self._attend()
            left = deadline - monotonic()
            if left <= 0:
                return False
            reached.wait(min(left, self._patience))
        return True

    def statistics(self) -> DispatcherStatistics:
        """Return the counters as they are now."""
        return DispatcherStatistics(
            delivered=self._delivered.total,
            failed=self._failed.total,
            dropped=self._dropped.total,
            lost=self._lost.total,
            queued=self._queue.qsize(),
            blocked=tuple(name_of(observer) for observer in self._blocked.copy().values()),
            failed_starts=self._failed_starts.total,
        )

    def _attend(self) -> None:
        """See that a thread serves the queue, without waiting for anything."""
        worker = self._worker
        if worker is not None and not self._overdue(worker.call):
            return
        if not self._attending.acquire(blocking=False):
            return  # somebody is seeing to it: another thread, or this one further up its stack
        try:
            worker = self._worker
            if worker is None or self._give_up(worker):
                self._start_worker()
        finally:
            self._attending.release()

    def _overdue(self, call: Call | None) -> bool:
        return call is not None and monotonic() - call.since >= self._patience

    def _give_up(self, worker: Worker) -> bool:
        call = worker.call
        if call is None or not self._overdue(call) or len(self._blocked) >= _MAX_ABANDONED:
            return False
        # Marked before it is claimed: the thread removes the mark when it finds itself given up.
        self._blocked[id(call.observer)] = call.observer
        if call.claim():
            return True
        self._blocked.pop(id(call.observer), None)
        return False

    def _start_worker(self) -> None:
        self._worker = worker = Worker(self._serve)
        # Thread.start() waits until the new thread runs, and for ever if that one cannot allocate
        # its first objects; so that wait is left to a thread that nobody needs.
        self._try_start(lambda: _thread.start_new_thread(self._try_start, (worker.start,)))

    def _try_start(self, start: Callable[[], object]) -> None:
        try:
            start()
        except (RuntimeError, MemoryError):  # no more threads, or the interpreter is ending
            self._failed_starts.add()
            self._worker = None  # the next post tries again

    def _serve(self, worker: Worker) -> None:
        try:
            # In a fork made by an observer this is the wrong process, and the loop ends.
            while self._worker is worker:
                item = self._queue.get()
                if isinstance(item, threading.Event):
                    item.set()
                elif not self._deliver(worker, item):
                    return
        except BaseException:
            if self._worker is worker:
                self._worker = None  # the next post starts another
            raise

    def _deliver(self, worker: Worker, delivery: _Delivery) -> bool:
        """Make one call; False if it took so long that another thread serves the queue now."""
        observer = delivery.observer
        if id(observer) in self._blocked:
            self._lost.add()
            return True
        call = worker.call = Call(observer)
        try:
            observer(delivery.event)
            self._delivered.add()
        except BaseException as error:  # sys.exit() in an observer must not end the others
            self._failed.add()
            self._report(delivery, error)
        worker.call = None
        if call.claim():
            return True
        self._blocked.pop(id(observer), None)
        return False

    def _report(self, delivery: _Delivery, error: BaseException) -> None:
        observer = delivery.observer
        if id(observer) in self._reported:
            return
        self._reported[id(observer)] = observer  # kept, so that its id is nobody else's
        if len(self._reported) > _MAX_REMEMBERED:
            self._reported.popitem(last=False)
        failed = ObserverFailed(
            source=delivery.event.source, observer=name_of(observer), reason=reason_of(error)
        )
        listeners: tuple[Observer, ...] = (*delivery.audience, FAILURE_LOG)
        self.post(failed, tuple(each for each in listeners if each is not observer))


_everyone: weakref.WeakSet[Dispatcher] = weakref.WeakSet()


def _forget_after_fork() -> None:
    # The parent's events are the parent's, and its thread does not exist here.
    for each in list(_everyone):
        each._start_empty()  # noqa: SLF001  this module's own class


os.register_at_fork(after_in_child=_forget_after_fork)

_dispatcher = Dispatcher()
atexit.register(_dispatcher.flush, _EXIT_GRACE)


def dispatcher() -> Dispatcher:
    """Return the dispatcher of this process."""
    return _dispatcher
