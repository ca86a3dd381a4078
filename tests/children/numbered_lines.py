"""Writes lines ``0`` to ``COUNT - 1`` to descriptor FD, as fast as somebody reads them."""

from __future__ import annotations

import os
import signal
import sys


def main(count: int, descriptor: int = 1) -> None:
    signal.alarm(600)
    with os.fdopen(descriptor, "wb", closefd=False) as output:
        for number in range(count):
            output.write(b"%d\n" % number)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
