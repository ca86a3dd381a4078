"""The orphan watchdog, a program: outlives its parent, kills what it left behind, and goes.

    python -I -S /…/worker/orphan_watchdog.py --parent PID --parent-start TICKS --cookie NAME

Stdin is the death pipe and the record channel (``records.py``). It ends without touching anything
after a ``bye``, or once everything is dead. It imports nothing but the standard library and its
neighbours, never talks, and never acts while its parent lives.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from safe_llm.worker import descent, records, sweep
else:
    # Run by path, in isolated mode and without site-packages: there is no safe_llm, and importing
    # it would cost more than all the rest. Its folder serves as the top level instead, so that
    # the neighbours are a package of their own and need not know who loads them; at the end of
    # the path, so that no module of ours can stand before one of the standard library.
    sys.path.append(__file__.rsplit("/", 2)[0])
    from worker import descent, records, sweep

_STDIN = 0
_READ_BYTES = 64 * 1024
_CHECK_WITH_PIDFD_MS = 60_000  # the kernel wakes us; this only bounds the wait
_CHECK_WITHOUT_PIDFD_MS = 200  # a fifth of the second within which everything shall be dead
# A child whose fork had just begun carries no cookie until its exec: look for another 0.2 s.
_QUIET_SCANS = 10
_ORDERLY, _MISUSED = 0, 2


class _Parent:
    """The process whose death we wait for: one number *and* its start time."""

    def __init__(self, pid: int, start_ticks: int) -> None:
        self._pid = pid
        self.start_ticks = start_ticks
        self.pidfd: int | None = None
        if self.lives():
            try:
                self.pidfd = sweep.open_pidfd(pid)
            except ProcessLookupError:
                return  # `lives` says so too

    def lives(self) -> bool:
        """Whether it runs. Asked again after the pidfd was opened, it vouches for that too."""
        if not self.start_ticks:  # no /proc where the parent runs
            return os.getppid() == self._pid
        now = sweep.read_process(self._pid)
        return now is not None and now.alive and now.start_ticks == self.start_ticks


def main(argv: list[str]) -> int:
    """Run until the parent is dead and swept, or said ``bye``; return the exit status."""
    options = dict(zip(argv[::2], argv[1::2], strict=False))
    try:
        parent = _Parent(int(options["--parent"]), int(options["--parent-start"]))
        cookie = options["--cookie"]
    except (KeyError, ValueError):
        return _MISUSED
    _stand_apart()
    ledger = records.Ledger()
    _wait_for_the_end(parent, ledger)
    if not ledger.said_bye:
        _kill_orphans(cookie, ledger.records, parent.start_ticks)
    return _ORDERLY


def _stand_apart() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    if os.getpid() != os.getsid(0):
        os.setsid()
    os.chdir("/")  # keeps no file system busy


def _wait_for_the_end(parent: _Parent, ledger: records.Ledger) -> None:
    """Return when the parent is dead or said ``bye``, and everything that it wrote has been read.

    The end of the pipe is no death: the parent may have replaced itself with ``exec``.
    Nor is an open pipe a life: a process that it forked may hold the other end.
    """
    poll = select.poll()
    poll.register(_STDIN, select.POLLIN)
    if parent.pidfd is not None:
        poll.register(parent.pidfd, select.POLLIN)
    interval = _CHECK_WITHOUT_PIDFD_MS if parent.pidfd is None else _CHECK_WITH_PIDFD_MS
    died = not parent.lives()
    while not ledger.said_bye:
        ready = [fd for fd, _ in poll.poll(0 if died else interval)]
        if _STDIN in ready and not _read_into(ledger):
            poll.unregister(_STDIN)
        if died and _STDIN not in ready:
            return
        died = died or parent.pidfd in ready or not parent.lives()


def _read_into(ledger: records.Ledger) -> bool:
    try:
        data = os.read(_STDIN, _READ_BYTES)
    except OSError:
        return False
    ledger.feed(data)
    return data != b""


def _kill_orphans(cookie: str, children: frozenset[records.Record], since: int) -> None:
    if since:
        match = descent.Match(cookie, values=None, records=children, since=since)
        sweep.kill_matching(match, quiet_scans=_QUIET_SCANS)
    else:
        sweep.kill_groups(children)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
