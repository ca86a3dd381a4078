"""Starts COUNT trees of processes, reports the pids, and waits for its own end."""

from __future__ import annotations

import json
import sys

import safe_llm
from safe_llm.process.hub import hub
from tests.children import python_child
from tests.faults.hosts import introduce, report


def main(count: int) -> None:
    introduce()
    children = [safe_llm.spawn(python_child("tree", 2, 1)) for _ in range(count)]
    trees = [json.loads(next(child.stdout.lines(timeout=60))) for child in children]
    watchdog = hub()._watchdog.child
    report({"trees": trees, "watchdog": None if watchdog is None else watchdog.pid})
    sys.stdin.readline()


if __name__ == "__main__":
    main(int(sys.argv[1]))
