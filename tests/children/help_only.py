"""Knows every flag of its ``--help``, and serves nothing: without it, it lives and keeps silent."""

from __future__ import annotations

import os
import signal
import sys

HELP = b"""usage: help-only [options]

-m,    --model FNAME            model path
-c,    --ctx-size N             size of the prompt context
--host HOST                     ip address or unix socket to listen on
--port PORT                     port to listen on
"""


def main() -> None:
    signal.alarm(600)
    if {"-h", "--help"} & set(sys.argv[1:]):
        os.write(1, HELP)
        return
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
