"""Ignores SIGTERM, SIGINT, SIGHUP and the end of stdin; says ``ready`` once it does."""

from __future__ import annotations

import os
import signal


def main() -> None:
    signal.alarm(600)
    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    os.write(1, b"ready\n")
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
