"""Logs SIZE bytes in its SIGTERM handler and exits with 0; says ``ready`` when it can be asked to.

Whoever stops reading as soon as it has sent SIGTERM turns this graceful exit into a hang.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

LINE = b"saving state" + b"." * 87 + b"\n"


def main(size: int) -> None:
    def log_and_exit(_signal: int, _frame: FrameType | None) -> None:
        with os.fdopen(2, "wb", closefd=False) as stderr:
            for done in range(0, size, len(LINE)):
                stderr.write(LINE[: size - done])
        sys.exit(0)

    signal.alarm(600)
    signal.signal(signal.SIGTERM, log_and_exit)
    os.write(1, b"ready\n")
    while True:
        signal.pause()


if __name__ == "__main__":
    main(int(sys.argv[1]))
