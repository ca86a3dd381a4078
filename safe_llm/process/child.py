"""A child process as its owner sees it: streams, exit, stopping. Does no I/O of its own.

All work is done by the hub; a ``Child`` posts wishes and waits for signals. Every method may be
called from any thread, and the ``_async`` ones from asyncio and from Trio.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Self

from safe_llm.errors import CallTimeout, ProtocolViolation, SpawnFailed
from safe_llm.limits import Limits, StopPolicy, StopStep
from safe_llm.process.exits import ExitStatus
from safe_llm.process.input import Input
from safe_llm.process.output import Output, Overflow, StreamStatistics
from safe_llm.process.stop import KILL_NOW_GRACE
from safe_llm.process.waking import Signal
from safe_llm.protocol.lines import sanitise

if TYPE_CHECKING:
    from collections.abc import Callable

    from safe_llm.events import Observer
    from safe_llm.process.command import Command
    from safe_llm.process.hub import Hub

_SPAWN_TIMEOUT = 30.0  # execve from a network file system that has to be mounted first
_FOREVER = 7 * 24 * 3600.0  # `wait()` without a timeout: a bound all the same
_STOP_SLACK = 10.0  # on top of a policy, for a machine that is short of everything
_LAST_WORDS_BYTES = 4096

_serial = count(1)


@dataclass(frozen=True, slots=True)
class ChildStatistics:
    """A child at one moment. Sizes in bytes, times in seconds in which this process ran."""

    name: str
    pid: int
    running: bool
    age: float
    stdin_waiting_bytes: int
    stdout: StreamStatistics
    stderr: StreamStatistics
    silent_for: float
    heartbeat_gap: float


class Child:
    """A running process whose pipes are emptied whether or not anybody reads them here.

    ``stdin``, ``stdout``, ``stderr`` are its streams, and ``replies`` where its command asks for
    one more. ``exited`` is set when it has ended, ``drained`` when all outputs have, ``closed``
    when in addition everything that it left behind has been swept. ``with`` and ``async with``
    stop it at the end of the block.
    """

    def __init__(
        self,
        hub: Hub,
        command: Command,
        *,
        name: str,
        limits: Limits,
        stop_policy: StopPolicy,
        observers: tuple[Observer, ...] = (),
    ) -> None:
        serial = next(_serial)
        self.name = name
        self.argv = tuple(command.argv)
        self.command = command
        self.cookie = str(serial)
        self.limits = limits
        self.stop_policy = stop_policy
        self.observers = observers
        self.pid = -1
        self.stdin = Input(name, self._poke_input)
        self.stdout = Output("stdout", name, max_line_bytes=limits.max_line_bytes)
        self.stderr = Output("stderr", name, max_line_bytes=limits.max_line_bytes)
        self.replies = Output(
            "replies",
            name,
            capacity_bytes=limits.max_message_bytes,
            overflow=Overflow.FAIL,
        )
        if command.replies is None:
            self.replies.end()
        self.spawned, self.exited, self.drained, self.closed = (Signal() for _ in range(4))
        self.spawn_error: SpawnFailed | None = None
        self.exit_status: ExitStatus | None = None
        self.stop_reason = ""
        self.leaked_streams: list[str] = []
        self.started_at = self.ended_at = hub.loop.clock.now()
        self.pump_input: Callable[[], None] | None = None
        self._hub = hub

    def __repr__(self) -> str:
        if self.exit_status is not None:
            state = self.exit_status.describe()
        else:
            state = f"running for {self._age():.0f} s"
        return f"<Child {self.name!r} pid {self.pid}: {state}>"

    # -- being started, by the hub

    def wait_spawned(self) -> Self:
        """Wait until it runs; raise ``SpawnFailed`` when it could not be started."""
        try:
            spawned = self.spawned.wait(_SPAWN_TIMEOUT)
        except BaseException:
            self.kill()  # nobody would hold what is about to come to life
            raise
        return self._checked(spawned)

    async def wait_spawned_async(self) -> Self:
        """Wait until it runs; raise ``SpawnFailed`` when it could not be started."""
        try:
            spawned = await self.spawned.wait_async(_SPAWN_TIMEOUT)
        except BaseException:
            self.kill()  # as above
            raise
        return self._checked(spawned)

    def _checked(self, spawned: bool) -> Self:  # noqa: FBT001
        if not spawned:
            raise self._spawn_overdue()
        if self.spawn_error is not None:
            raise self.spawn_error
        return self

    def _spawn_overdue(self) -> SpawnFailed:
        self.kill()  # should it come to life after all
        return SpawnFailed(
            program=self.argv[0], reason=f"execve did not return within {_SPAWN_TIMEOUT:.0f} s"
        )

    # -- its end

    def poll(self) -> int | None:
        """Return the return code as ``subprocess`` does, None while it runs."""
        return self.returncode

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal's number, or None while it runs or when unknown."""
        return None if self.exit_status is None else self.exit_status.returncode

    def wait(self, timeout: float | None = None) -> ExitStatus:
        """Wait for its exit; end of output is another thing and is not waited for.

        Raises ``CallTimeout`` after ``timeout`` seconds; the process is then left as it is.
        """
        if not self.exited.wait(_FOREVER if timeout is None else timeout):
            raise self._overdue("exit", timeout)
        return self._status()

    async def wait_async(self, timeout: float | None = None) -> ExitStatus:
        """As ``wait``, for a task."""
        if not await self.exited.wait_async(timeout):
            raise self._overdue("exit", timeout)
        return self._status()

    def _status(self) -> ExitStatus:
        if self.exit_status is None:
            raise AssertionError(self)
        return self.exit_status

    def _overdue(self, what: str, timeout: float | None) -> CallTimeout:
        limit = _FOREVER if timeout is None else timeout
        return CallTimeout(
            engine=self.name,
            layer=f"L1 {what}",
            limit=limit,
            elapsed=limit,
            last_words=self.last_words(),
        )

    # -- stopping

    def send_signal(self, number: int) -> None:
        """Send a signal to its process group, unless it has ended."""
        self._hub.signal(self, number)

    def terminate(self) -> None:
        """Send SIGTERM, then SIGCONT, to its process group; wait for nothing."""
        self.send_signal(signal.SIGTERM)
        self.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL to its process group; wait for nothing."""
        only_kill = (StopStep(signal.SIGKILL, KILL_NOW_GRACE),)
        self.begin_stop(replace(self.stop_policy, steps=only_kill), "kill()")

    def begin_stop(self, policy: StopPolicy | None = None, reason: str = "stop()") -> None:
        """Begin to stop it, without waiting. Never blocks; a finalizer may call it."""
        self._hub.stop(self, policy or self.stop_policy, reason)

    def stop(self, policy: StopPolicy | None = None) -> ExitStatus:
        """Stop it by its policy and wait until nothing of it is left.

        Bounded by the policy; raises ``CallTimeout`` when even that did not help, with the
        process in an uninterruptible system call.
        """
        self.begin_stop(policy)
        bound = (policy or self.stop_policy).longest + _STOP_SLACK
        if not self.closed.wait(bound):
            raise self._overdue("stop", bound)
        return self._status()

    async def stop_async(self, policy: StopPolicy | None = None) -> ExitStatus:
        """As ``stop``, for a task. Cancelling the task cancels the waiting, not the stopping."""
        self.begin_stop(policy)
        bound = (policy or self.stop_policy).longest + _STOP_SLACK
        if not await self.closed.wait_async(bound):
            raise self._overdue("stop", bound)
        return self._status()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop_async()

    # -- talking to it

    def communicate(self, data: bytes = b"", timeout: float | None = None) -> tuple[bytes, bytes]:
        """Write ``data``, close stdin, and return all of stdout and stderr once it has exited.

        Raises ``CallTimeout`` after ``timeout`` seconds, and ``ProtocolViolation`` when a stream
        carried more than ``limits.max_message_bytes``. The process is then left as it is.
        """
        self._begin_communication(data)
        bound = _FOREVER if timeout is None else timeout
        until = monotonic() + bound
        if not (self.exited.wait(bound) and self.drained.wait(until - monotonic())):
            raise self._overdue("communicate", timeout)
        return self._collected(self.stdout), self._collected(self.stderr)

    async def communicate_async(
        self,
        data: bytes = b"",
        timeout: float | None = None,
    ) -> tuple[bytes, bytes]:
        """As ``communicate``, for a task."""
        self._begin_communication(data)
        bound = _FOREVER if timeout is None else timeout
        until = monotonic() + bound
        if not (
            await self.exited.wait_async(bound)
            and await self.drained.wait_async(until - monotonic())
        ):
            raise self._overdue("communicate", timeout)
        return self._collected(self.stdout), self._collected(self.stderr)

    def _begin_communication(self, data: bytes) -> None:
        for output in (self.stdout, self.stderr):
            output.capacity_bytes = self.limits.max_message_bytes
        if self.command.stdin == "pipe":
            if data:
                with suppress(BrokenPipeError):  # it needs no input: its exit says the rest
                    self.stdin.write(data)
            self.stdin.close()

    def _collected(self, output: Output) -> bytes:
        data, dropped = output.take_nowait(), output.dropped_bytes
        if len(data) + dropped > output.capacity_bytes:
            raise ProtocolViolation(
                peer=self.name,
                reason=f"its {output.name} carried {output.received_bytes} bytes,"
                f" allowed are {output.capacity_bytes}",
                hint="read the stream while it runs: `for line in child.stdout`",
            )
        if dropped:
            raise ProtocolViolation(
                peer=self.name,
                reason=f"{dropped} of the {output.received_bytes} bytes of its {output.name}"
                " were dropped before communicate() was called",
                hint="call communicate() right after spawn(), or read the stream while it runs",
            )
        return data

    def disown(self, owner: int) -> None:
        """In a forked process: it is the child of ``owner``, and here everything about it is over.

        Whoever waits for it, or leaves its ``with`` block, goes on at once.
        """
        self.exit_status = self.exit_status or ExitStatus(
            note=f"a child of process {owner}, which this one was forked from"
        )
        self.stdin.failure = self.stdin.failure or "it belongs to the process that was forked"
        for output in (self.stdout, self.stderr, self.replies):
            output.ended = True
            output.changed.set_after_fork()
        for one in (self.spawned, self.exited, self.drained, self.closed, self.stdin.flushed):
            one.set_after_fork()

    def _poke_input(self) -> None:
        self._hub.pump_input(self)

    # -- seeing it

    def last_words(self) -> str:
        """Return the end of what it wrote to stderr, for a message; untrusted text, sanitised."""
        words = self.stderr.tail()
        if len(words) > _LAST_WORDS_BYTES:  # then it begins with half a line
            words = words[-_LAST_WORDS_BYTES:]
            words = words.partition(b"\n")[2] or words
        return "\n".join(sanitise(line) for line in words.splitlines())

    def statistics(self) -> ChildStatistics:
        """Return an immutable snapshot."""
        last = max(self.stdout.last_byte_at or 0.0, self.stderr.last_byte_at or 0.0)
        return ChildStatistics(
            name=self.name,
            pid=self.pid,
            running=self.exit_status is None,
            age=self._age(),
            stdin_waiting_bytes=self.stdin.waiting_bytes,
            stdout=self.stdout.statistics(),
            stderr=self.stderr.statistics(),
            silent_for=self._hub.loop.clock.now() - max(last, self.started_at),
            heartbeat_gap=self._hub.loop.clock.longest_gap,
        )

    def _age(self) -> float:
        ended = self.ended_at if self.exit_status is not None else self._hub.loop.clock.now()
        return ended - self.started_at
