"""Holds the GIL for SECONDS and then says ``answer``; ``hold_gil`` does it to the process at hand.

``ctypes.PyDLL`` calls a C function without releasing the GIL, as a bad C extension does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys


def hold_gil(seconds: float) -> None:
    """Let no other Python thread of this process run for so long."""
    ctypes.PyDLL(None).usleep(ctypes.c_uint(int(seconds * 1_000_000)))


def main(seconds: float) -> None:
    signal.alarm(600)
    hold_gil(seconds)
    os.write(1, b"answer\n")


if __name__ == "__main__":
    main(float(sys.argv[1]))
