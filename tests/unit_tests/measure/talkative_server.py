"""An MCP server that logs as much as it is told: ``talkative_server.py START EACH [LAST]``.

``START`` bytes when it starts and ``EACH`` bytes at each request, in writes of at most 100 bytes.
It ends, saying so, at its request number ``LAST``. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys

STDERR = 2


def log(size: int) -> None:
    while size > 0:
        size -= os.write(STDERR, b"x" * (min(size, 100) - 1) + b"\n")


def main(start: int, each: int, last: int) -> int:
    log(start)
    for number, line in enumerate(sys.stdin, start=1):
        message = json.loads(line)
        if "id" not in message:
            continue
        if number == last:
            os.write(STDERR, b"I have had enough\n")
            return 3
        log(each if message["method"] == "tools/list" else 0)
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {}}) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, [*sys.argv[1:], "0"][:3])))
