"""The second run of an engine, the control: its log goes into pipes that nobody reads.

Wrong on purpose, and no part of how safe_llm works.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from itertools import count
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from safe_llm.measure.subject import NoAnswer, Talk
from safe_llm.process import orphans
from safe_llm.process.hub import hub

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from safe_llm.measure.subject import Start, StreamName
    from safe_llm.process.command import Command

FOREVER = 3600.0
"""Seconds for one answer: whoever watches ends it long before."""

_KILL_TIMEOUT = 5.0
_SLICE = 0.2  # seconds between two looks whether the process has ended
_READ_BYTES = 65_536

_Talk = TypeVar("_Talk", bound=Talk)
_serial = count(1)


class Unread(Generic[_Talk]):
    """Starts an engine and sends it one request after the other, on a thread of its own.

    In its block ``process`` runs, ``talk`` is the conversation with it, and ``logs`` are our ends
    of the pipes that nobody reads. ``failure`` says why it is asked no more. ``ready_at`` and
    ``answered_at`` are seconds from its start.
    """

    def __init__(
        self,
        start: Start[_Talk],
        logs: Sequence[StreamName],
        ask: Callable[[_Talk, int], None],
    ) -> None:
        self._start = start
        self._log_names = logs
        self._ask = ask
        self._cookie = f"unread-{next(_serial)}"
        self._stopping = threading.Event()
        self._pipes = ExitStack()
        self._thread = threading.Thread(target=self._work, name="unread", daemon=True)
        self.ready_at: float | None = None
        self.answered_at: list[float] = []
        self.failure = ""

    @property
    def answered(self) -> int:
        """How many requests have been answered."""
        return len(self.answered_at)

    def wait_failed(self, timeout: float) -> None:
        """Wait until ``failure`` says why it is asked no more, or ``timeout`` is over."""
        self._thread.join(timeout)

    def __enter__(self) -> Self:
        try:
            self.process, protocol = self._launch(self._start)
        except BaseException:
            self._pipes.close()
            raise
        self._start_ticks = orphans.start_ticks(self.process.pid) or 0
        self.logs = [_descriptor(self.process, name) for name in self._log_names]
        self.talk = self._start.connect(_UnreadWire(self.process, protocol))
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self._kill()
        self._thread.join(_KILL_TIMEOUT)  # its connection broke with the process
        self._pipes.close()

    def _kill(self) -> None:
        """End it with all that it has started: a server may be behind npx, uvx or a shell."""
        if self.process.poll() is None:
            # A llama-server that waits for its log does not hear SIGTERM.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(_KILL_TIMEOUT)
        orphans.sweep(hub().cookie_name, {self._cookie: (self.process.pid, self._start_ticks)})

    def _launch(self, start: Start[_Talk]) -> tuple[subprocess.Popen[bytes], int]:
        """Start it as a hand-written ``Popen`` would; return our end of its protocol's pipe."""
        command = start.command
        if command.replies is None:
            process = self._popen(command, {})
            return process, _descriptor(process, "stdout")
        reader, writer = os.pipe()
        self._pipes.callback(os.close, reader)
        try:
            return self._popen(command, {command.replies: writer}), reader
        finally:
            os.close(writer)

    def _popen(self, command: Command, passed: Mapping[str, int]) -> subprocess.Popen[bytes]:
        ours = dict(os.environ)
        env = command.environment(ours)
        argv = [command.resolve(env), *command.argv[1:]]
        # That nothing of it outlives us is the one thing here that is done right: the prefix has
        # the kernel kill it with us, and by its mark our watchdog knows whatever it starts.
        env |= orphans.inherited_cookies(ours) | {hub().cookie_name: self._cookie}
        process = subprocess.Popen(
            [*orphans.launcher_prefix(), *argv],
            stdin=subprocess.PIPE if command.stdin == "pipe" else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,  # the mistake: nobody will read it
            env={**env, **{name: str(descriptor) for name, descriptor in passed.items()}},
            pass_fds=tuple(passed.values()),
            cwd=command.cwd,
            start_new_session=True,
            bufsize=0,  # or closing would try again to write what a dead process did not take
        )
        for file in filter(None, (process.stdin, process.stdout, process.stderr)):
            self._pipes.callback(file.close)
        return process

    def _work(self) -> None:
        try:
            self.talk.wait_ready(self._began + FOREVER)
            self.ready_at = self._age()
            while not self._stopping.is_set():
                self._ask(self.talk, self.answered)
                self.answered_at.append(self._age())
        except NoAnswer as error:  # it ended or was killed
            self.failure = str(error)

    def _age(self) -> float:
        return time.monotonic() - self._began


def _descriptor(process: subprocess.Popen[bytes], name: StreamName) -> int:
    file = process.stdout if name == "stdout" else process.stderr
    if file is None:
        raise AssertionError(process)
    return file.fileno()


class _UnreadWire:
    """Writes to its stdin, and reads its protocol and nothing else."""

    def __init__(self, process: subprocess.Popen[bytes], protocol: int) -> None:
        self._process = process
        self._protocol = protocol

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def send(self, data: bytes) -> None:
        if self._process.stdin is None:
            raise AssertionError(self._process)
        try:
            while data:
                data = data[self._process.stdin.write(data) :]
        except OSError as error:
            raise NoAnswer("it reads its stdin no more") from error

    def receive(self, until: float) -> bytes:
        while time.monotonic() < until:
            readable, _, _ = select.select([self._protocol], [], [], _SLICE)
            data = os.read(self._protocol, _READ_BYTES) if readable else b""
            if data:
                return data
            if readable or self.has_ended:  # a descendant may hold the other end of the pipe
                raise NoAnswer("its output ended")
        raise NoAnswer("it did not answer")
