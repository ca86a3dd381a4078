"""Real processes that hide, and the certainty that none of them outlives its test."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING, Self

from safe_llm.process import orphans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BOUND = 10.0  # seconds for anything that takes milliseconds on an idle machine

# Hides step by step. Whoever stays says its pid; "fork" leaves its parent behind, "orphan" not.
HIDE = """
import os, sys, time
steps = sys.argv[1:]
while steps:
    step = steps.pop(0)
    if step == "fork" and os.fork():
        break
    if step == "orphan" and os.fork():
        os._exit(0)
    if step == "setsid":
        os.setsid()
    if step == "wipe":
        again = [sys.executable, "-I", "-S", "-c", sys.orig_argv[4], *steps]
        os.execve(sys.executable, again, {})
os.write(1, b"%d\\n" % os.getpid())
time.sleep(60)
"""


def hiding(*steps: str) -> list[str]:
    """Return the command of a process that hides in these steps."""
    return [sys.executable, "-I", "-S", "-c", HIDE, *steps]


def stays(steps: Sequence[str]) -> int:
    """How many processes stay after these steps, each of which says its pid."""
    return 1 + list(steps).count("fork")


class Litter:
    """Starts processes, and kills each one that it was told of at the end."""

    def __init__(self) -> None:
        self.cookie = orphans.cookie_name(token_hex(8))
        self._pidfds: dict[int, int] = {}
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pidfd in self._pidfds.values():
            if sys.platform == "linux" and not is_readable(pidfd, 0):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        for process in self._started:
            process.kill()
            process.wait(BOUND)
            for end in (process.stdin, process.stdout):
                if end is not None:
                    end.close()
        for pidfd in self._pidfds.values():
            os.close(pidfd)

    def start(
        self, argv: Sequence[str], env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one in a session of its own, with pipes for stdin and stdout."""
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
        self._started.append(process)
        self.watch(process.pid)
        return process

    def child(self, value: str, *steps: str) -> tuple[subprocess.Popen[bytes], set[int]]:
        """Start a child with our cookie; return it, and the pids of all who stay."""
        process = self.start(hiding(*steps), {self.cookie: value})
        return process, self.pids_from(process, stays(steps))

    def pids_from(self, process: subprocess.Popen[bytes], count: int) -> set[int]:
        """Read that many pids from its output, and see to these processes."""
        pids = {int(line) for line in read_lines(process, count)}
        for pid in pids:
            self.watch(pid)
        return pids

    def watch(self, pid: int) -> None:
        if sys.platform == "linux" and pid not in self._pidfds:
            self._pidfds[pid] = os.pidfd_open(pid)

    def is_alive(self, pid: int) -> bool:
        return not is_readable(self._pidfds[pid], 0)

    def wait_dead(self, pids: set[int]) -> set[int]:
        """Wait for all of them; return those who live on."""
        end = monotonic() + BOUND
        return {
            pid for pid in pids if not is_readable(self._pidfds[pid], max(end - monotonic(), 0))
        }


def is_readable(fd: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


def read_lines(process: subprocess.Popen[bytes], count: int) -> list[bytes]:
    assert process.stdout is not None
    data = b""
    while data.count(b"\n") < count:
        assert is_readable(process.stdout.fileno(), BOUND), f"only {data!r} came"
        piece = os.read(process.stdout.fileno(), 4096)
        assert piece, f"only {data!r} came"
        data += piece
    return data.splitlines()


def nobody_holds(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the end of its output: whoever inherited it, known to us or not, is dead then."""
    assert process.stdout is not None
    end = monotonic() + BOUND
    while is_readable(process.stdout.fileno(), max(end - monotonic(), 0)):
        if not os.read(process.stdout.fileno(), 4096):
            return True
    return False


def echoes(process: subprocess.Popen[bytes]) -> bool:
    """Ask a ``cat`` whether it lives."""
    assert process.stdin is not None
    process.stdin.write(b"alive?\n")
    process.stdin.flush()
    return read_lines(process, 1) == [b"alive?"]
