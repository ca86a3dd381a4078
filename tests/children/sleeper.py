"""Says ``ready`` and does nothing more, whatever happens to its stdin; SIGTERM ends it."""

from __future__ import annotations

import os
import signal


def main() -> None:
    signal.alarm(600)
    os.write(1, b"ready\n")
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
