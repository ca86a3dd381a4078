"""Finds and kills what descends from our children. Signals nobody who has not been verified.

Standard library only, and shared by the two who sweep: the orphan watchdog, which runs without
the rest of safe_llm, and ``process/orphans.py``. A process that vanishes while it is looked at, or
that must not be looked at, is an everyday answer here and not an error.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from time import monotonic, sleep
from typing import TYPE_CHECKING

from .descent import Match, Process, Victim, parse_stat, select_victims

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .records import Record

DEFAULT_TIMEOUT = 5.0  # a process in state D dies late or never; nobody waits for it any longer
DEFAULT_QUIET_SCANS = 2  # a fork between two looks is seen by the second
_INTERVAL = 0.02  # seconds: far below what anybody notices, and a scan takes a few milliseconds
_STAT_BYTES = 4096  # the longest line is shorter than 1 KiB
_ENVIRON_BYTES = 1024 * 1024  # the kernel allows more; who has that is found by session or descent


def scan(cookie: str | None, since: int = 0, proc_root: str = "/proc") -> list[Process]:
    """Take a snapshot of all processes; without ``cookie`` no environment is read.

    Reading an environment takes the target's memory lock: it can block behind a process that
    hangs in the kernel. Reading ``stat`` cannot.
    """
    try:
        names = os.listdir(proc_root)  # noqa: PTH208 (pathlib would double the time of a start)
    except OSError:
        return []
    found = (read_process(int(name), proc_root) for name in names if name.isdecimal())
    if cookie is None:
        return [one for one in found if one is not None]
    return [_with_cookie(one, cookie, since, proc_root) for one in found if one is not None]


def read_process(pid: int, proc_root: str = "/proc") -> Process | None:
    """Return one process without its cookie; None when there is none, or no ``/proc``."""
    return parse_stat(_read(f"{proc_root}/{pid}/stat", _STAT_BYTES))


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None where that is not known."""
    process = read_process(pid)
    return None if process is None else process.start_ticks


def kill_matching(
    match: Match,
    *,
    protect: frozenset[int] = frozenset(),
    timeout: float = DEFAULT_TIMEOUT,
    quiet_scans: int = DEFAULT_QUIET_SCANS,
    proc_root: str = "/proc",
) -> list[Victim]:
    """Kill all who match, and those who appear meanwhile, until ``quiet_scans`` in a row find none.

    Returns each victim once, also those who refused to be killed. Takes at most ``timeout``
    seconds plus one scan. Never touches this process, pid 1, or one of ``protect``.
    """
    deadline = monotonic() + timeout
    protect |= {os.getpid()}
    victims: dict[tuple[int, int], Victim] = {}
    quiet = 0
    # First without environments: those who can be found that way must not wait for one that hangs.
    cookie = None if match.records else match.cookie
    while quiet < quiet_scans and monotonic() < deadline:
        found = select_victims(scan(cookie, match.since, proc_root), match, protect)
        dealt_with = [dealt for dealt in map(kill, found) if dealt is not None]
        victims.update({(one.pid, one.start_ticks): one for one in dealt_with})
        match = match._replace(records=match.records.union(one.as_record() for one in dealt_with))
        if cookie is None:
            cookie = match.cookie
            continue
        quiet = quiet + 1 if all(one.refusal for one in dealt_with) else 0
        if quiet < quiet_scans:
            sleep(_INTERVAL)
    return list(victims.values())


def kill(victim: Victim) -> Victim | None:
    """Kill one process if it is still the same; None when it is dead, or somebody else by now.

    What was read about a number in ``/proc`` may belong to two processes in turn. With the pidfd
    open, an unchanged start time proves that match, pidfd and process are one; and who descended
    from us a moment ago does so for ever, whatever its environment or parent is now.
    """
    try:
        pidfd = open_pidfd(victim.pid)
    except ProcessLookupError:
        return None
    try:
        now = read_process(victim.pid)
        if now is None or now.start_ticks != victim.start_ticks or not now.alive:
            return None
        if not is_within_reach(_read(f"/proc/{victim.pid}/status", _STAT_BYTES), os.getuid()):
            return victim._replace(refusal="runs as another user")
        _send_sigkill(victim.pid, pidfd)
    except ProcessLookupError:
        return None
    except PermissionError as error:
        return victim._replace(refusal=errno.errorcode.get(error.errno or 0, "EPERM"))
    finally:
        if pidfd is not None:
            os.close(pidfd)
    return victim


def kill_groups(records: Iterable[Record]) -> None:
    """Kill the process groups that recorded children lead: what is left without ``/proc``."""
    for record in records:
        if record.sid == record.pid and record.pid > 1:
            try:
                os.killpg(record.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue  # gone, or (macOS) nothing but zombies in it


def is_within_reach(status: bytes, uid: int) -> bool:
    """Tell from ``/proc/PID/status`` whether its real user is ``uid``; root reaches all."""
    _, found, rest = status.partition(b"\nUid:")
    return uid == 0 or (found != b"" and rest.split()[:1] == [str(uid).encode()])


def open_pidfd(pid: int) -> int | None:
    """Return a pidfd; None where there are none. Raises ``ProcessLookupError`` when pid is gone."""
    # Interpreters built for old kernels lack the function, old kernels and sandboxes the call.
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        return None


def _send_sigkill(pid: int, pidfd: int | None) -> None:
    if sys.platform == "linux" and pidfd is not None:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGKILL)  # verified microseconds ago; nothing better exists here


def _with_cookie(process: Process, cookie: str, since: int, proc_root: str) -> Process:
    if process.start_ticks < since:
        return process
    environ = b"\0" + _read(f"{proc_root}/{process.pid}/environ", _ENVIRON_BYTES)
    _, found, rest = environ.partition(b"\0" + cookie.encode() + b"=")
    if not found:
        return process
    return process._replace(cookie=rest.partition(b"\0")[0].decode("utf-8", "replace"))


def _read(path: str, cap_bytes: int) -> bytes:
    """Read a file of /proc; empty when the process is gone or closed to us."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    data = b""
    try:
        while len(data) < cap_bytes:
            piece = os.read(fd, cap_bytes - len(data))
            if not piece:
                break
            data += piece
    except OSError:
        return b""
    finally:
        os.close(fd)
    return data
