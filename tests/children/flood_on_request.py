"""Answers each line of stdin, but only after SIZE bytes of log: a server at debug verbosity."""

from __future__ import annotations

import os
import signal
import sys

LINE = b"x" * 99 + b"\n"


def flood(size: int) -> None:
    with os.fdopen(2, "wb", closefd=False) as stderr:
        for done in range(0, size, len(LINE)):
            stderr.write(LINE[: size - done])


def main(size: int) -> None:
    signal.alarm(600)
    for request in sys.stdin.buffer:
        flood(size)
        os.write(1, b"answer to " + request)


if __name__ == "__main__":
    main(int(sys.argv[1]))
