"""Grows a tree of processes WIDTH wide and DEPTH deep, every second one in a session of its own.

Prints all its pids (its own first) as one line of JSON once everybody lives; nobody ever exits by
himself. Those with a session of their own also ignore SIGTERM and hold no pipe.
"""

from __future__ import annotations

import json
import os
import signal
import sys


def grow(width: int, depth: int, announce: int) -> None:
    os.write(announce, b"%d " % os.getpid())
    for number in range(width if depth else 0):
        if os.fork() == 0:
            signal.alarm(600)  # a fork does not inherit the alarm
            if number % 2:
                leave()
            grow(width, depth - 1, announce)
            wait_for_ever()


def leave() -> None:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def wait_for_ever() -> None:
    while True:
        signal.pause()


def main(width: int, depth: int) -> None:
    signal.alarm(600)
    reader, writer = os.pipe()
    grow(width, depth, writer)
    announced = b""
    while announced.count(b" ") < sum(width**level for level in range(depth + 1)):
        announced += os.read(reader, 65536)
    pids = [int(one) for one in announced.split()]
    pids.sort(key=lambda pid: pid != os.getpid())
    os.write(1, json.dumps(pids).encode() + b"\n")
    wait_for_ever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
