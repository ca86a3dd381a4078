"""Finds and kills what dead children left behind, off the hub: reading /proc can block.

One thread, started when there is something to sweep and gone when there is not; whatever is asked
for meanwhile is swept in the same scan.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import sleep
from typing import TYPE_CHECKING

from safe_llm.process import orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_IDLE = 5.0  # seconds until the thread goes; starting one costs less than keeping it
_GATHERING = 0.1  # seconds: a crowd that ends one by one is swept in groups, a lone child at once


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What to look for after one child, and whom to tell. ``report`` must not block."""

    cookie: str
    sid: int
    start_ticks: int
    report: Callable[[Sequence[orphans.Victim], str], None]


class Sweeper:
    """Sweeps in the background; takes requests from the hub only."""

    def __init__(self, cookie_name: str) -> None:
        self._cookie_name = cookie_name
        self._requests: SimpleQueue[Leftovers] = SimpleQueue()
        self._running = threading.Semaphore(1)

    def request(self, leftovers: Leftovers) -> bool:
        """Sweep soon and report the victims. Never blocks; ``attend()`` later when it is False."""
        self._requests.put(leftovers)
        return self.attend()

    def attend(self) -> bool:
        """See that a thread is at work; False when there is none to be had now."""
        if not self._running.acquire(blocking=False):
            return True
        try:
            threading.Thread(target=self._run, name="safe-llm-sweeper", daemon=True).start()
        except RuntimeError:  # the limit of processes, which counts threads, is reached
            self._running.release()
            return False
        return True

    def _run(self) -> None:
        while True:
            try:
                first = self._requests.get(timeout=_IDLE)
            except Empty:
                self._running.release()
                if self._requests.empty() or not self._running.acquire(blocking=False):
                    return
                continue
            self._sweep([first, *self._waiting()])
            del first  # or the next wait would keep a closed child from being collected
            if not self._requests.empty():
                sleep(_GATHERING)

    def _waiting(self) -> list[Leftovers]:
        waiting = []
        while True:
            try:
                waiting.append(self._requests.get_nowait())
            except Empty:
                return waiting

    def _sweep(self, batch: list[Leftovers]) -> None:
        failure = ""
        victims: list[orphans.Victim] = []
        try:
            victims = orphans.sweep(
                self._cookie_name, {one.cookie: (one.sid, one.start_ticks) for one in batch}
            )
        except Exception as error:
            failure = repr(error)
        for one in batch:
            one.report([v for v in victims if v.cookie == one.cookie], failure)
