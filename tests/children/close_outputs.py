"""Says ``closing``, closes stdout and stderr, lives until stdin ends, and exits with 3.

The end of both pipes is not the end of the process.
"""

from __future__ import annotations

import os
import signal


def main() -> None:
    signal.alarm(600)
    os.write(1, b"closing\n")
    os.close(1)
    os.close(2)
    while os.read(0, 65536):
        pass
    os._exit(3)  # Python's own exit would complain about the closed descriptors


if __name__ == "__main__":
    main()
