"""Answers each line with itself, until the line ``crash``: exit STATUS, or signal -STATUS.

Its last words are two lines on stderr, and half an answer on stdout.
"""

from __future__ import annotations

import os
import signal
import sys


def crash(status: int) -> None:
    os.write(1, b"half an ans")
    os.write(2, b"about to fail\nfatal: assertion failed\n")
    if status < 0:
        os.kill(os.getpid(), -status)
    os._exit(status)


def main(status: int) -> None:
    signal.alarm(600)
    for request in sys.stdin.buffer:
        if request.strip() == b"crash":
            crash(status)
        os.write(1, request)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
