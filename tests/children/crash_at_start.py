"""Explains itself on stderr and is gone before anybody asks: exit STATUS, or signal -STATUS."""

from __future__ import annotations

import os
import sys


def main(status: int) -> None:
    os.write(2, b"loading\nfatal: cannot load the model\n")
    if status < 0:
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
