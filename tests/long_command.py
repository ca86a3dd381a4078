"""Runs a command that takes minutes: all it says goes into a log, and it shows that it lives.

It knows nothing of what the command does. Standard library only, as its users may come first.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

LOOK = 1.0  # seconds between two looks at a command that prints nothing
GRACE = 10.0  # seconds: ninja ends its compilers at SIGTERM within milliseconds
_STEP = re.compile(rb"\[ *(\d+/\d+|\d+%)\]")  # as ninja and make count


class Patience:
    """How long something has taken, whether that is too long, and when to say so; in seconds."""

    def __init__(self, bound: float, interval: float, tell: Callable[[str], None]) -> None:
        self._began = self._told = time.monotonic()
        self._bound, self._interval, self._tell = bound, interval, tell

    def __str__(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"{minutes}:{seconds:02} min"

    def is_over(self) -> bool:
        """Tell whether the bound has passed."""
        return time.monotonic() - self._began > self._bound

    def mention(self, what: str) -> None:
        """Tell ``what``, and since when, once an interval."""
        if time.monotonic() - self._told >= self._interval:
            self._told = time.monotonic()
            self._tell(f"{what} ({self})")


def last_step(output: bytes) -> str | None:
    """Return the last "12/300" or "4%" that a build tool has printed, if there is one."""
    steps = _STEP.findall(output)
    return steps[-1].decode("ascii") if steps else None


def run_logged(
    argv: Sequence[str], environ: Mapping[str, str], log: Path, patience: Patience
) -> int:
    """Return the exit status. Raises ``TimeoutError`` when ``patience`` is over.

    Whatever ends the wait, Ctrl-C too, ends the command and what it has started. Where this
    process is killed, the command ends at the next line that it prints: hence a pipe, which
    breaks, and not the log itself.
    """
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        process_group=0,
    )
    assert child.stdout is not None
    with child.stdout as pipe, log.open("wb") as file:
        try:
            for chunk in _followed(child, pipe, patience):
                file.write(chunk)
            return child.wait(GRACE)
        finally:
            _end(child, pipe)


def _followed(
    child: subprocess.Popen[bytes], pipe: IO[bytes], patience: Patience
) -> Iterator[bytes]:
    step = "0"
    while True:
        if chunk := _read(pipe, LOOK):
            step = last_step(chunk) or step
            yield chunk
        elif chunk is not None or child.poll() is not None:
            return  # a daemon of a compiler's may hold the pipe longer than the command lives
        if patience.is_over():
            raise TimeoutError(f"it did not end in time, at step {step}")
        patience.mention(f"still at it, step {step}")


def _read(pipe: IO[bytes], timeout: float) -> bytes | None:
    """Return what is there, nothing at the end, ``None`` where nothing came within ``timeout``."""
    readable, _, _ = select.select([pipe], [], [], timeout)
    return os.read(pipe.fileno(), 65536) if readable else None


def _end(child: subprocess.Popen[bytes], pipe: IO[bytes]) -> None:
    """End the command's process group, and see all of it close the pipe.

    SIGTERM first: ninja puts each compiler into a group of its own, and ends them itself.
    """
    if child.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        # Until it is reaped, below, the leader's number names this group and no other.
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: only a zombie left
            os.killpg(child.pid, number)
        deadline = time.monotonic() + GRACE
        while _read(pipe, LOOK) != b"" and time.monotonic() < deadline:
            pass
    child.wait(GRACE)
