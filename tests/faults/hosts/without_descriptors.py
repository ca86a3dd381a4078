"""Runs out of descriptors, reports what a spawn says then, frees them and tries again."""

from __future__ import annotations

import os
import resource
import sys

import safe_llm
from safe_llm.process.hub import hub
from tests.faults.hosts import introduce, report


def count() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def exhaust() -> list[int]:
    taken = []
    while True:
        try:
            taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return taken


def main(free: int, hard: int) -> None:
    introduce()
    with safe_llm.spawn(["true"]) as child:
        child.wait(15)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    taken = exhaust()
    for _ in range(free):
        os.close(taken.pop())
    before = count() if free else 0
    try:
        with safe_llm.spawn(["echo", "hello"]) as child:
            report(["spawned", child.communicate(timeout=15)[0].decode()])
    except safe_llm.SpawnFailed as error:
        report(["failed", error.errno, str(error)])
    if free:
        report(["leaked", count() - before])
    for one in taken:
        os.close(one)
    with safe_llm.spawn(["echo", "again"]) as child:
        report(["afterwards", child.communicate(timeout=15)[0].decode()])
    report(["errors", list(hub().statistics().errors)])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
