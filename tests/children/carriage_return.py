r"""Rewrites one line of stderr with ``\r`` for COUNT steps, each INTERVAL s, and never ends it.

Then it lives until stdin ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time


def main(count: int, interval: float = 0.0) -> None:
    signal.alarm(600)
    for step in range(1, count + 1):
        os.write(2, b"\rloading %3d of %d" % (step, count))
        time.sleep(interval)
    while os.read(0, 65536):
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(float, sys.argv[2:]))
