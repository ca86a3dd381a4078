"""Doubles itself DEPTH times (at most 9: 511 forks); every third fork gets a session of its own.

For use under RLIMIT_NPROC by a user who is not root, whom that limit does not bind. A fork that is
refused is tolerated. Says ``ready`` when the first process has done its share; nobody ever exits.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

DEEPEST = 9


def multiply(depth: int) -> None:
    for number in range(depth):
        with contextlib.suppress(BlockingIOError):  # EAGAIN: the limit is reached
            if os.fork() == 0:
                signal.alarm(600)  # a fork does not inherit the alarm
                if number % 3 == 0:
                    os.setsid()
                multiply(depth - number - 1)
                wait_for_ever()


def wait_for_ever() -> None:
    while True:
        signal.pause()


def main(depth: int) -> None:
    signal.alarm(600)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    multiply(min(depth, DEEPEST))
    os.write(1, b"ready\n")
    wait_for_ever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
