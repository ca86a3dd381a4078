"""Runs a host program and reads its reports, each within a bound; leaves nothing of it alive."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.controls.standstill import started
from tests.faults.oracle import bearers_of

_ROOT = Path(__file__).parents[2]
_BOUND = 15.0  # seconds for a report; a host imports us and starts children on a busy machine


class Host:
    """A host program in a session of its own, under our eyes."""

    def __init__(self, name: str, *args: object) -> None:
        environment = {**os.environ, "PYTHONWARNINGS": "ignore:This process:DeprecationWarning"}
        environment.pop("PYTHONUNBUFFERED", None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.faults.hosts.{name}", *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            env=environment,
            start_new_session=True,
        )
        self._read = b""
        self.pid = self._process.pid
        self.cookie_name = "SAFE_LLM_COOKIE_unknown"

    def __enter__(self) -> Self:
        self.cookie_name = self.next()
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(_BOUND)
        for end in (self._process.stdin, self._process.stdout):
            if end is not None:
                end.close()
        for pid in bearers_of(self.cookie_name):  # where the watchdog was killed, or failed
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def next(self, bound: float = _BOUND) -> Any:
        """Return the next report."""
        assert self._process.stdout is not None
        until = time.monotonic() + bound
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._process.stdout], [], [], until - time.monotonic())
            data = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise TimeoutError(f"no report from pid {self.pid} within {bound} s")
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        return json.loads(line)

    def go_on(self) -> None:
        """Let it go on from where it waits for a line of stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go on\n")
        self._process.stdin.flush()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def signal_group(self, number: int) -> None:
        """Send its process group a signal, as a terminal does."""
        os.killpg(self.pid, number)

    def wait(self, bound: float = _BOUND) -> int:
        """Return its exit status."""
        return self._process.wait(bound)


def births(pids: list[int]) -> dict[int, int | None]:
    """Return when each process started: a number alone may have a new owner later."""
    return {pid: started(pid) for pid in pids}


def alive(born: dict[int, int | None]) -> list[int]:
    """Return who of them is still alive."""
    return [pid for pid, when in born.items() if when is not None and started(pid) == when]


def wait_dead(born: dict[int, int | None], bound: float = 10.0) -> list[int]:
    """Wait until they are all dead; return who is not within the bound."""
    until = time.monotonic() + bound
    while (left := alive(born)) and time.monotonic() < until:
        time.sleep(0.02)
    return left
