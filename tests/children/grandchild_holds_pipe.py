"""Exits with 0 at once, while a grandchild of the same group lives on and holds stdout and stderr.

Prints the grandchild's pid first. The exit is real, the end of the pipes never comes.
"""

from __future__ import annotations

import os
import signal


def main() -> None:
    grandchild = os.fork()
    if grandchild == 0:
        signal.alarm(600)
        while True:
            signal.pause()
    os.write(1, b"%d\n" % grandchild)


if __name__ == "__main__":
    main()
