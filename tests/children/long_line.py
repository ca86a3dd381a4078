"""Answers the first line of stdin with a line of SIZE bytes, and all later ones with themselves."""

from __future__ import annotations

import os
import signal
import sys

BLOCK = b"x" * 65536


def main(size: int) -> None:
    signal.alarm(600)
    sys.stdin.buffer.readline()
    with os.fdopen(1, "wb", closefd=False) as stdout:
        for done in range(0, size, len(BLOCK)):
            stdout.write(BLOCK[: size - done])
        stdout.write(b"\n")
    for request in sys.stdin.buffer:
        os.write(1, request)


if __name__ == "__main__":
    main(int(sys.argv[1]))
