"""What /proc says of a process and of each of its threads. Attaches to nothing, stops nothing.

"Unknown" is an answer: what is gone, or must not be read, is None or empty and never an error.
Only files that cannot block are read: not ``environ``, ``cmdline`` or ``maps``, which take the
target's memory lock. See proc(5).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "in an uninterruptible system call",
    "T": "stopped by a signal",
    "t": "stopped by a tracer",
    "Z": "dead and not reaped",
    "X": "dead",
    "I": "idle",
}
_PIPE_WAIT = re.compile(r"(anon_)?pipe_(write|wait)")  # renamed in 5.x and again in 6.15
_STATE, _SESSION, _UTIME, _STIME = 0, 3, 11, 12  # fields of stat, counted behind the name


@dataclass(frozen=True, slots=True)
class ThreadSnapshot:
    """One thread: its state letter, what it waits in, and its system call with arguments."""

    tid: int
    state: str
    wait_channel: str
    syscall: str

    @property
    def blocked_descriptor(self) -> int | None:
        """The descriptor of the pipe that this thread cannot write to, if that is what it does."""
        words = self.syscall.split()
        if not _PIPE_WAIT.fullmatch(self.wait_channel) or len(words) < 2:  # noqa: PLR2004
            return None
        return int(words[1], 16)


@dataclass(frozen=True, slots=True)
class ProcessSnapshot:
    """A process and its threads at one moment."""

    pid: int
    state: str
    threads: tuple[ThreadSnapshot, ...]

    def describe(self) -> str:
        """Say in one phrase what keeps it, most telling first."""
        for thread in self.threads:
            descriptor = thread.blocked_descriptor
            if descriptor is not None:
                return (
                    f"pid {self.pid}, thread {thread.tid} is blocked in a write to descriptor"
                    f" {descriptor}, a full pipe that nobody reads"
                )
        return f"pid {self.pid} is {_STATES.get(self.state, 'gone')}"


def snapshot(pid: int, proc: Path = Path("/proc")) -> ProcessSnapshot | None:
    """Return what can be seen of ``pid``, or None when it is gone or there is no /proc."""
    fields = _stat(proc / str(pid))
    if fields is None:
        return None
    tasks = proc / str(pid) / "task"
    try:
        tids = sorted(int(one) for one in os.listdir(tasks))  # noqa: PTH208  half the time
    except OSError:
        tids = []
    threads = tuple(_thread(tasks / str(tid), tid) for tid in tids)
    return ProcessSnapshot(pid, fields[_STATE], threads)


def session_cpu_seconds(sid: int, proc: Path = Path("/proc")) -> float | None:
    """Processor time of all living processes of a session, in seconds; None without /proc.

    A child of ours leads a session, so this is its whole tree but for what left it: ``npx`` and
    ``uvx`` are wrappers that sleep while their child works.
    """
    try:
        names = os.listdir(proc)  # noqa: PTH208  half the time
    except OSError:
        return None
    ticks = 0
    for name in names:
        fields = _stat(proc / name) if name.isdecimal() else None
        if fields is not None and int(fields[_SESSION]) == sid:
            ticks += int(fields[_UTIME]) + int(fields[_STIME])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int, proc: Path = Path("/proc")) -> int | None:
    """Memory of a process that is in RAM, mapped files included; None when it is gone."""
    fields = _read(proc / str(pid) / "statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if fields else None


def oom_kills(proc: Path = Path("/proc")) -> int | None:
    """How many processes the kernel has killed for want of memory since it was started.

    Those of a control group count as well. None where it does not say: since Linux 4.13 it does.
    """
    for line in _read(proc / "vmstat").splitlines():
        name, _, count = line.partition(b" ")
        if name == b"oom_kill":
            return int(count)
    return None


def _thread(task: Path, tid: int) -> ThreadSnapshot:
    fields = _stat(task)
    return ThreadSnapshot(
        tid=tid,
        state=fields[_STATE] if fields else "",
        wait_channel=_read(task / "wchan").decode(errors="replace"),
        syscall=_read(task / "syscall").decode(errors="replace"),
    )


def _stat(folder: Path) -> list[str] | None:
    _, _, rest = _read(folder / "stat").rpartition(b")")  # the name may contain ") "
    fields = rest.decode(errors="replace").split()
    return fields if len(fields) > _STIME else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
