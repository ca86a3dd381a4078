"""The first run of an engine: its pipes are drained by our hub, and what it writes is counted."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise
from statistics import median
from typing import TYPE_CHECKING

from safe_llm.limits import StopPolicy, StopStep
from safe_llm.measure.figures import Drained, StreamFigures
from safe_llm.measure.interrupts import made_whole
from safe_llm.measure.pipe import fill
from safe_llm.measure.subject import STREAMS, NoAnswer
from safe_llm.process.hub import hub

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from safe_llm.measure.subject import StreamName, Subject, Talk
    from safe_llm.process.child import Child
    from safe_llm.process.command import Command
    from safe_llm.process.output import Output

# A llama-server keeps lines in a queue for its logger, which lags behind the answer by 1 ms.
_QUIET = 0.03  # seconds without a byte: what belongs to a request has been written
_LONGEST_UNREST = 2.0  # seconds; who logs without a pause is counted as it comes
_LAST_BREATH = 0.5  # seconds from the last sign of life until an exit has been seen
_PIECE_BYTES = 65_536  # between two looks at the clock: two million short lines take half a minute
_MOST_WRITES = 1_000_000  # to one stream; who floods it for minutes shall not fill our memory
_AT_ONCE = StopPolicy(steps=(StopStep(9, 5.0),))

# A pipe with O_DIRECT hands over each write as a packet of its own, pipe(2): so the hub, which
# reads as always, sees how large the writes are, and a full pipe can be predicted from that.
_IN_PACKETS = """\
import fcntl, os, sys
for descriptor in map(int, sys.argv[1].split(",")):
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT)
os.execv(sys.argv[2], sys.argv[2:])
"""


def measure_drained(
    subject: Subject, *, requests: int, seconds: float, show: Callable[[int], None]
) -> Drained:
    """Start the engine, send it requests, and return what it wrote.

    ``show`` is called with the number of answers. Raises ``NoAnswer`` when it does not start or
    answer within ``seconds`` in all, and ``SpawnFailed`` when there is nothing to be started.
    """
    until = time.monotonic() + seconds
    with made_whole(subject.begin()) as start:
        command = _in_packets(start.command, subject.logs)
        child = hub().request_spawn(command, name=subject.name, stop_policy=_AT_ONCE)
        log = _Log(child, subject.logs)
        with child.wait_spawned():
            talk = start.connect(_DrainedWire(child))
            try:
                return _ask_all(talk, log, requests=requests, until=until, show=show)
            except NoAnswer as error:
                is_over = time.monotonic() >= until
                overdue = f"its {seconds:g} s were over" if is_over else ""
                raise _explained(error, child, overdue) from error


def _in_packets(command: Command, logs: Sequence[StreamName]) -> Command:
    """Return a command that runs the same program, with its logs in packets where Linux is."""
    if sys.platform != "linux":
        return command
    environment = command.environment(dict(os.environ))
    path = command.resolve(environment)  # or a missing program would be the interpreter's failure
    descriptors = ",".join(str(STREAMS.index(name) + 1) for name in logs)
    launcher = (sys.executable, "-I", "-S", "-c", _IN_PACKETS, descriptors)
    return replace(command, argv=[*launcher, path, *command.argv[1:]])


def _ask_all(
    talk: Talk, log: _Log, *, requests: int, until: float, show: Callable[[int], None]
) -> Drained:
    began = time.monotonic()
    talk.wait_ready(until)
    ready = time.monotonic()
    marks, answered_at = [log.settled()], []
    taken = 0.0
    for number in range(requests):
        asked = time.monotonic()
        talk.ask(number, until)
        taken += time.monotonic() - asked
        answered_at.append(taken)
        marks.append(log.settled())
        show(number + 1)
    return Drained(
        start_seconds=ready - began,
        streams={name: log.figures(name, marks) for name in log.sizes},
        answered_at=tuple(answered_at),
    )


class _Log:
    """The sizes of all writes to each log, as they come."""

    def __init__(self, child: Child, names: Sequence[StreamName]) -> None:
        self._outputs = {name: _output(child, name) for name in names}
        self.sizes: dict[StreamName, list[int]] = {name: [] for name in names}
        for name, output in self._outputs.items():
            output.tap = partial(_note_size, self.sizes[name])

    def settled(self) -> dict[StreamName, int]:
        """Wait until nothing has come for a while; return how many writes there were."""
        until = time.monotonic() + _LONGEST_UNREST
        before = -1
        while before != self._received_bytes and time.monotonic() < until:
            before = self._received_bytes
            time.sleep(_QUIET)
        counts = {name: len(sizes) for name, sizes in self.sizes.items()}
        if max(counts.values()) >= _MOST_WRITES:
            raise NoAnswer(f"it floods its log, with more than {_MOST_WRITES:,} writes so far")
        return counts

    @property
    def _received_bytes(self) -> int:
        return sum(output.received_bytes for output in self._outputs.values())

    def figures(self, name: StreamName, marks: Sequence[Mapping[StreamName, int]]) -> StreamFigures:
        """Return what was written before the first mark, and between each two."""
        sizes, ends = self.sizes[name], [mark[name] for mark in marks]
        start, requests = sizes[: ends[0]], [sizes[a:b] for a, b in pairwise(ends)]
        full = fill(start, requests)
        return StreamFigures(
            start_bytes=sum(start),
            request_bytes=median(map(sum, requests)),
            capacity_bytes=None if full is None else full.capacity_bytes,
            requests_until_full=None if full is None else full.requests,
            written=tuple(accumulate(map(sum, requests), initial=sum(start))),
        )


def _output(child: Child, name: StreamName) -> Output:
    return child.stdout if name == "stdout" else child.stderr


def _note_size(sizes: list[int], chunk: bytes) -> None:
    if len(sizes) < _MOST_WRITES:
        sizes.append(len(chunk))


class _DrainedWire:
    """A child of ours; its protocol comes over ``replies`` or, where it has none, over stdout."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._protocol = child.stdout if child.command.replies is None else child.replies
        self._taken = memoryview(b"")

    @property
    def has_ended(self) -> bool:
        return self._child.exit_status is not None

    def send(self, data: bytes) -> None:
        try:
            self._child.stdin.write(data)
        except BrokenPipeError as error:
            raise NoAnswer("it reads its stdin no more") from error

    def receive(self, until: float) -> bytes:
        output = self._protocol
        while (left := until - time.monotonic()) > 0:
            output.changed.clear()
            self._taken = self._taken or memoryview(output.take_nowait())
            if self._taken:
                piece, self._taken = self._taken[:_PIECE_BYTES], self._taken[_PIECE_BYTES:]
                return bytes(piece)
            if output.ended:
                raise NoAnswer("its output ended")
            output.changed.wait(left)
        raise NoAnswer("it did not answer")


def _explained(error: NoAnswer, child: Child, overdue: str) -> NoAnswer:
    """Add how it ended or that its time was over, and what it said last."""
    # The end of its output, or of a connection, is seen before its exit.
    if child.exited.wait(_LAST_BREATH):
        child.drained.wait(_LAST_BREATH)
    ended = child.exit_status.describe() if child.exit_status else overdue
    words = child.last_words().strip().rpartition("\n")[2]
    said = f"it said: {words}" if words else ""
    return NoAnswer("; ".join(filter(None, (str(error), ended, said))))
