"""Writes SIZE bytes of log to stderr and only then ``answer`` to stdout: the popular deadlock."""

from __future__ import annotations

import os
import signal
import sys

LINE = b"x" * 99 + b"\n"


def main(size: int) -> None:
    signal.alarm(600)
    with os.fdopen(2, "wb", closefd=False) as stderr:
        for done in range(0, size, len(LINE)):
            stderr.write(LINE[: size - done])
    os.write(1, b"answer\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
