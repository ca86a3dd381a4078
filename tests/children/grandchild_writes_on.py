"""Exits with 0 at once, while a grandchild writes to both outputs as fast as somebody reads them.

Prints the grandchild's pid first. It ends when the pipes are closed, and so shows that they were.
"""

from __future__ import annotations

import os
import signal

BLOCK = (b"x" * 99 + b"\n") * 40


def main() -> None:
    if os.fork() == 0:
        signal.alarm(600)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.write(1, b"%d\n" % os.getpid())
        while True:
            os.write(1, BLOCK)
            os.write(2, BLOCK)


if __name__ == "__main__":
    main()
