"""Keeps ``os.fork()`` in user code and our spawns apart. Refuses to wait for either for long.

A fork in the middle of a spawn would copy pipe ends that nobody has noted yet, so that their EOFs
wait for the forked process; and ``subprocess`` itself then waits for that process, because it reads
a pipe of its own to the end to learn whether ``execve`` worked.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 1.0  # seconds; both take milliseconds, and a handler of somebody else's may hang


class ForkGate:
    """A lock between the two that is never insisted upon: a hang is worse than a late EOF."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forking = threading.local()

    def before_fork(self) -> None:
        """Let a spawn come to its end."""
        self._forking.holds = self._lock.acquire(timeout=_PATIENCE)

    def after_fork(self) -> None:
        """In the parent: let spawns go on. Also called when the fork failed."""
        if getattr(self._forking, "holds", False):
            self._forking.holds = False
            self._lock.release()

    def renew(self) -> None:
        """In the forked child: whoever held the lock was not copied."""
        self._lock = threading.Lock()
        self._forking.holds = False

    @contextmanager
    def spawning(self) -> Iterator[None]:
        """Let a fork come to its end, and hold back the next one."""
        holds = self._lock.acquire(timeout=_PATIENCE)
        try:
            yield
        finally:
            if holds:
                self._lock.release()
