"""Sees in /proc that a group of processes stands still, and in which call. Signals nobody.

Blocked is what was seen twice with no progress in between: every thread asleep, in the same system
call, without a single context switch. Time alone proves nothing on a busy machine.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# write and writev; see the tables of syscall(2)
_WRITE_CALLS = {"x86_64": {"1", "20"}, "aarch64": {"64", "66"}}.get(platform.machine(), set())
# Linux 6.15 renamed pipe_write to anon_pipe_write; before 5.5 it slept in pipe_wait.
_PIPE_WRITE = re.compile(r"(anon_)?pipe_(write|wait)")
_DEAD = {"Z", "X"}
_ASLEEP = {"S", "T", "t"} | _DEAD


@dataclass(frozen=True)
class Thread:
    """One thread as /proc shows it; equal when it has not run in between."""

    pid: int
    tid: int
    started: int  # in clock ticks since boot: tells a pid from its next owner
    state: str
    wchan: str
    call: str  # /proc/PID/task/TID/syscall: number, arguments, stack pointer, program counter
    switches: tuple[str, ...]

    @property
    def asleep(self) -> bool:
        return self.state in _ASLEEP

    @property
    def alive(self) -> bool:
        return self.state not in _DEAD


@dataclass(frozen=True)
class BlockedWrite:
    """A thread that waits for somebody to read a pipe."""

    pid: int
    descriptor: int
    wchan: str
    pipe: str

    def __str__(self) -> str:
        return (
            f"pid {self.pid} is blocked in a write to descriptor {self.descriptor}"
            f" ({self.pipe}, in {self.wchan})"
        )


def stat_fields(pid: int, tid: int | None = None) -> list[str] | None:
    """Return /proc/PID/stat from ``state`` on, or None when there is no such process.

    The name before it may contain anything, a parenthesis and a newline too.
    """
    where = PROC / str(pid) / ("stat" if tid is None else f"task/{tid}/stat")
    try:
        return where.read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def started(pid: int) -> int | None:
    """Return when a process started, or None when it is gone or a zombie."""
    fields = stat_fields(pid)
    return None if fields is None or fields[0] in _DEAD else int(fields[19])


def family(root: int) -> list[int]:
    """Return a process and its living descendants, those that still have a parent among them."""
    children: dict[int, list[int]] = {}
    for one in PROC.iterdir():
        if one.name.isdecimal() and (fields := stat_fields(int(one.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(one.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def threads_of(pids: list[int]) -> frozenset[Thread]:
    """Take one look at all threads of these processes; who is gone is left out."""
    found = set()
    for pid in pids:
        try:
            tids = [int(one.name) for one in (PROC / str(pid) / "task").iterdir()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found |= {one for tid in tids if (one := _thread(pid, tid)) is not None}
    return frozenset(found)


def _thread(pid: int, tid: int) -> Thread | None:
    task = PROC / str(pid) / "task" / str(tid)
    fields = stat_fields(pid, tid)
    if fields is None:
        return None
    try:
        status = (task / "status").read_text()
        switches = tuple(one for one in status.splitlines() if "ctxt_switches" in one)
        wchan, call = _readable(task / "wchan"), _readable(task / "syscall")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Thread(pid, tid, int(fields[19]), fields[0], wchan, call, switches)


def _readable(path: Path) -> str:
    try:
        return path.read_text().strip()
    except PermissionError:  # not our descendant, or set-uid: unknown is a value
        return ""


def stands_still(before: frozenset[Thread], now: frozenset[Thread]) -> bool:
    """Say whether nobody ran between two looks, and nobody came or went."""
    return bool(now) and before == now and all(one.asleep for one in now)


def blocked_write(thread: Thread) -> BlockedWrite | None:
    """Say on which pipe a thread waits for a reader, if it does.

    ``wchan`` may be hidden (``0``); then the system call and the kind of descriptor decide.
    """
    number, _, arguments = thread.call.partition(" ")
    if thread.state != "S" or number not in _WRITE_CALLS:
        return None
    if thread.wchan not in {"", "0"} and not _PIPE_WRITE.fullmatch(thread.wchan):
        return None
    descriptor = int(arguments.split()[0], 16)
    target = _target(PROC / str(thread.pid) / "fd" / str(descriptor))
    if not target.startswith(("pipe:", "unknown")):
        return None
    return BlockedWrite(thread.pid, descriptor, thread.wchan, target)


def blocked_writes(threads: frozenset[Thread]) -> list[BlockedWrite]:
    """Return all that wait for a reader, by pid."""
    found = [one for thread in threads if (one := blocked_write(thread)) is not None]
    return sorted(found, key=lambda one: (one.pid, one.descriptor))


def pipe_partners(pid: int) -> list[int]:
    """Return the other processes that hold an end of one of this process's pipes."""
    ours = _pipes(str(pid))
    return sorted(
        int(one.name)
        for one in PROC.iterdir()
        if one.name.isdecimal() and one.name != str(pid) and ours & _pipes(one.name)
    )


def _pipes(pid: str) -> set[str]:
    try:
        targets = {_target(one) for one in (PROC / pid / "fd").iterdir()}
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return set()
    return {one for one in targets if one.startswith("pipe:")}


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except (FileNotFoundError, PermissionError, ProcessLookupError):  # closed since it was listed
        return "unknown"
