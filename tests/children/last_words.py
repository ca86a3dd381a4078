"""Writes SIZE bytes to stderr and is gone at once with STATUS: the exit overtakes the bytes.

What lies in the pipe when the process is gone (up to its capacity) must still be delivered.
"""

from __future__ import annotations

import os
import sys


def main(size: int, status: int = 0) -> None:
    end = b"the very last words\n"
    os.write(2, b"x" * max(0, size - len(end)) + end)
    os._exit(status)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
