"""Answers each line of stdin with itself, and ends when stdin ends: the one that behaves."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    signal.alarm(600)
    with os.fdopen(1, "wb", 0, closefd=False) as stdout:
        for request in sys.stdin.buffer:
            stdout.write(request)


if __name__ == "__main__":
    main()
