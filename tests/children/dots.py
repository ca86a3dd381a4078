"""Shows its progress as COUNT dots on stderr, each INTERVAL s, without ever ending the line.

Then it lives until stdin ends: whoever waits for the newline never sees a dot.
"""

from __future__ import annotations

import os
import signal
import sys
import time


def main(count: int, interval: float = 0.0) -> None:
    signal.alarm(600)
    for _ in range(count):
        os.write(2, b".")
        time.sleep(interval)
    while os.read(0, 65536):
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(float, sys.argv[2:]))
