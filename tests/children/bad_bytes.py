"""Logs bytes that are no text, then AFTER bytes of decent log, then ``answer`` to stdout.

Not UTF-8 (also a character cut in half), NUL, ANSI colours, an OSC title, a C1 control, a lone CR.
The decent log comes in lines of 100 bytes: a reader that died of the bad ones leaves it unread.
With ``both`` as second argument, stdout begins with the same bad bytes.
"""

from __future__ import annotations

import os
import signal
import sys

BAD = (
    b"\xff\xfe not UTF-8\n"
    b"half a character: \xe2\x82\n"
    b"NUL: \0 and more\n"
    b"\x1b[31mred\x1b[0m \x1b[2Jclear\n"
    b"\x1b]0;a new title\x07 \x1b]8;;http://127.0.0.1/\x1b\\link\n"
    b"C1: \x9b31m \xc2\x9b31m\n"
    b"overwritten\rshown\n"
)
LINE = b"x" * 99 + b"\n"


def main(after: int, where: str = "stderr") -> None:
    signal.alarm(600)
    os.write(2, BAD)
    if where == "both":
        os.write(1, BAD)
    with os.fdopen(2, "wb", closefd=False) as stderr:
        for done in range(0, after, len(LINE)):
            stderr.write(LINE[: after - done])
    os.write(1, b"answer\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
