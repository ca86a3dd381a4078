"""Reaches the soft limit of pipe pages, so that new pipes have 8 KiB; reports row 1 then."""

from __future__ import annotations

import fcntl
import os
import resource

import safe_llm
from tests.faults.hosts import introduce, logged, report
from tests.faults.hosts.unprivileged import drop_privileges

F_GETPIPE_SZ = 1032
FLOOD = "read question; head -c 200000 /dev/zero >&2; echo answer to $question"


def main() -> None:
    introduce()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    drop_privileges()
    pipes = [os.pipe() for _ in range(1100)]
    report(fcntl.fcntl(pipes[-1][0], F_GETPIPE_SZ))
    with safe_llm.spawn(["sh", "-c", FLOOD]) as child:
        child.stdin.write(b"hello\n")
        report([next(child.stdout.lines(timeout=15)), logged(child, 200_000)])


if __name__ == "__main__":
    main()
