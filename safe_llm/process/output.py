"""One stream of a child: what the hub puts in and a consumer takes out. Never parses, never blocks.

The hub is the only writer and a consumer the only taker; each counter has one of the two as its
only writer, so neither needs a lock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from safe_llm.limits import KiB, MiB
from safe_llm.process.reading import Lines
from safe_llm.process.waking import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_CAPACITY_BYTES = 4 * MiB
TAIL_BYTES = 64 * KiB  # the last words of a crash: a long native backtrace fits
_SMALL_CHUNK_BYTES = 2 * KiB  # joining costs no more than a system call up to here
_CHUNK_OVERHEAD_BYTES = 64  # a bytes object and its slot: or 1-byte chunks cost 64 times their cap


class Overflow(Enum):
    """What a full ring does. Reading the pipe goes on in either case."""

    DROP_OLDEST = "drop_oldest"
    """Logs: keep the newest."""
    FAIL = "fail"
    """Protocols: a hole cannot be mended, so keep nothing more and say so."""


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """One stream at one moment. Sizes in bytes, ``last_byte_at`` on the hub's clock.

    ``received_lines`` is None unless ``count_lines()`` asked for it.
    """

    name: str
    received_bytes: int
    received_lines: int | None
    dropped_bytes: int
    waiting_bytes: int
    last_byte_at: float | None
    ended: bool
    failure: str


class Output:
    """A bounded ring of raw chunks, and the tail of all that ever came.

    ``changed`` is set when there is something to take and when the stream ends. ``tap`` is called
    on the hub with each chunk; one that raises is detached and the reason kept in ``failure``.
    """

    def __init__(
        self,
        name: str,
        owner: str,
        *,
        max_line_bytes: int = 4 * MiB,
        capacity_bytes: int = DEFAULT_CAPACITY_BYTES,
        overflow: Overflow = Overflow.DROP_OLDEST,
        tail_bytes: int = TAIL_BYTES,
    ) -> None:
        self.name = name
        self.owner = owner
        self.max_line_bytes = max_line_bytes
        self.capacity_bytes = capacity_bytes
        self.overflow = overflow
        self.changed = Signal()
        self.ended = False
        self.overflowed = False
        self.failure = ""
        self.tap: Callable[[bytes], None] | None = None
        self.received_bytes = 0
        self.received_lines: int | None = None
        self.dropped_bytes = 0
        self.last_byte_at: float | None = None
        self._ring: deque[bytes] = deque()
        self._put_cost = 0
        self._dropped_cost = 0
        self._taken_cost = 0
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._tail_bytes = tail_bytes

    def receive(self, chunk: bytes, at: float) -> None:
        """Hub: keep a chunk. O(1), whatever the consumer does."""
        self.received_bytes += len(chunk)
        self.last_byte_at = at
        if self.received_lines is not None:
            self.received_lines += chunk.count(b"\n")
        self._remember(chunk)
        if self.tap is not None:
            self._offer(chunk)
        if self.overflowed and self.overflow is Overflow.FAIL:
            self.dropped_bytes += len(chunk)
            return
        self._put(chunk)
        if self._waiting_cost > self.capacity_bytes:
            self._overflow()
        self.changed.set()

    def end(self, failure: str = "") -> None:
        """Hub: nothing will ever come again; the descriptor has been closed."""
        self.failure = self.failure or failure
        self.ended = True
        self.changed.set()

    def take_nowait(self) -> bytes:
        """Consumer: everything that waits, as one piece; ``b""`` when nothing does."""
        taken = []
        while True:
            try:
                chunk = self._ring.popleft()
            except IndexError:
                break
            self._taken_cost += len(chunk) + _CHUNK_OVERHEAD_BYTES
            taken.append(chunk)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def lines(self, timeout: float | None = None) -> Lines:
        """Return what comes as lines, for ``for`` or ``async for``.

        Raises ``CallTimeout`` when no line comes for ``timeout`` seconds. A stream has one
        consumer: two iterators share its lines among them.
        """
        return Lines(self, timeout)

    def __iter__(self) -> Lines:
        return self.lines()

    def __aiter__(self) -> Lines:
        return self.lines()

    def count_lines(self) -> None:
        """Count line ends from now on, whether or not anybody takes them.

        Not done unasked: on 100-byte lines it costs 1.1 CPU seconds a GB, ten times the reading.
        """
        if self.received_lines is None:
            self.received_lines = 0

    @property
    def exhausted(self) -> bool:
        """The stream has ended and everything that was kept has been taken."""
        return self.ended and not self._ring

    def tail(self) -> bytes:
        """Return the last ``tail_bytes`` bytes that the child wrote, taken or not."""
        while True:
            try:
                return b"".join(self._tail)[-self._tail_bytes :]
            except RuntimeError:  # the hub appended while we iterated
                continue

    def statistics(self) -> StreamStatistics:
        """Return an immutable snapshot."""
        return StreamStatistics(
            name=self.name,
            received_bytes=self.received_bytes,
            received_lines=self.received_lines,
            dropped_bytes=self.dropped_bytes,
            waiting_bytes=max(self._waiting_cost - _CHUNK_OVERHEAD_BYTES * len(self._ring), 0),
            last_byte_at=self.last_byte_at,
            ended=self.ended,
            failure=self.failure,
        )

    @property
    def _waiting_cost(self) -> int:
        return self._put_cost - self._dropped_cost - self._taken_cost

    def _put(self, chunk: bytes) -> None:
        """Append a chunk, joined with the one before it while both are small.

        Or a child that writes byte by byte would fill the ring with overhead.
        """
        self._put_cost += len(chunk)
        if len(chunk) < _SMALL_CHUNK_BYTES:
            try:
                before = self._ring.pop()
            except IndexError:  # nothing waits: the consumer has it already
                pass
            else:
                if len(before) < _SMALL_CHUNK_BYTES:
                    self._ring.append(before + chunk)
                    return
                self._ring.append(before)
        self._ring.append(chunk)
        self._put_cost += _CHUNK_OVERHEAD_BYTES

    def _remember(self, chunk: bytes) -> None:
        self._tail.append(chunk)
        self._tail_size += len(chunk)
        while self._tail_size - len(self._tail[0]) >= self._tail_bytes:
            self._tail_size -= len(self._tail.popleft())

    def _offer(self, chunk: bytes) -> None:
        tap = self.tap
        try:
            if tap is not None:
                tap(chunk)
        except Exception as error:
            self.tap = None
            self.failure = f"sink detached: {error!r}"

    def _overflow(self) -> None:
        self.overflowed = True
        keep = self.capacity_bytes if self.overflow is Overflow.DROP_OLDEST else 0
        while self._waiting_cost > keep:
            try:
                chunk = self._ring.popleft()
            except IndexError:  # the consumer was faster
                return
            self._dropped_cost += len(chunk) + _CHUNK_OVERHEAD_BYTES
            self.dropped_bytes += len(chunk)
