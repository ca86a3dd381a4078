"""A child's stdin as a bounded queue. A child that does not read can fill it, never block us."""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from typing import TYPE_CHECKING

from safe_llm.errors import MisuseError
from safe_llm.limits import MiB
from safe_llm.process.waking import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_CAP_BYTES = 64 * MiB  # one protocol message of the largest allowed size
_LARGEST_WRITE = 256 * 1024  # more than a pipe holds; keeps a turn of the hub short


class Input:
    """What waits to be written to a child.

    ``flushed`` is set each time that nothing waits any more; ``failure`` says why nothing can be
    written any more.
    """

    def __init__(
        self, name: str, poke: Callable[[], None], cap_bytes: int = DEFAULT_CAP_BYTES
    ) -> None:
        self.name = name
        self.fd = -1  # hub only
        self.cap_bytes = cap_bytes
        self.flushed = Signal()
        self.failure = ""
        self.written_bytes = 0
        self.wants_close = False
        self._poke = poke
        self._queue: deque[memoryview] = deque()
        self._accepted = 0
        # Among callers only: the hub never takes it. Re-entrant, because a signal handler may
        # write while its own thread is writing.
        self._callers = threading.RLock()

    @property
    def waiting_bytes(self) -> int:
        """How much has been accepted and not yet been taken by the child."""
        return max(self._accepted - self.written_bytes, 0)

    def write(self, data: bytes) -> None:
        """Queue ``data``, without blocking.

        Raises ``BrokenPipeError`` when the child cannot read it any more, and ``MisuseError``
        when more than ``cap_bytes`` would wait, in which case nothing of it has been queued.
        """
        piece = memoryview(data)  # raises for what is no bytes, before anything is counted
        with self._callers:
            if self.failure or self.wants_close:
                raise BrokenPipeError(
                    errno.EPIPE, f"stdin of {self.name}: {self.failure or 'closed'}"
                )
            if self.waiting_bytes + len(piece) > self.cap_bytes:
                raise MisuseError(
                    reason=f"{self.name} has not read {self.waiting_bytes} bytes of its stdin;"
                    f" {len(piece)} more would exceed the cap of {self.cap_bytes} bytes",
                    hint="the child does not read: wait for `drain`, or stop it",
                )
            self._accepted += len(piece)
            self._queue.append(piece)
        self._poke()

    def close(self) -> None:
        """Close stdin once everything that waits has been written."""
        self.wants_close = True
        self._poke()

    def drain(self, timeout: float) -> bool:
        """Wait until the child has taken everything; False when it did not in time."""
        self.flushed.wait_until(self._is_settled, timeout)
        return self.waiting_bytes == 0

    async def drain_async(self, timeout: float | None = None) -> bool:
        """Wait until the child has taken everything; False when it did not in time."""
        await self.flushed.wait_until_async(self._is_settled, timeout)
        return self.waiting_bytes == 0

    def pump(self) -> bool:
        """Hub: write what the pipe takes, up to a bound: a fast reader must not hold the hub.

        Returns whether to call again when the pipe is writable.
        """
        until = self.written_bytes + _LARGEST_WRITE
        while self._queue:
            if self.written_bytes >= until:
                return True
            piece = self._queue[0]
            try:
                count = os.write(self.fd, piece[:_LARGEST_WRITE])
            except BlockingIOError:
                return True
            except OSError as error:
                self.fail(f"cannot be written to: {error.strerror}")
                return False
            self.written_bytes += count
            if count == len(piece):
                self._queue.popleft()
            else:
                self._queue[0] = piece[count:]
        self.flushed.set()
        return False

    def fail(self, reason: str) -> None:
        """Hub: nothing can be written any more; what waits is given up and those who wait woken."""
        self.failure = self.failure or reason
        self._queue.clear()
        self.flushed.set()

    def _is_settled(self) -> bool:
        return bool(self.failure) or self.waiting_bytes == 0
