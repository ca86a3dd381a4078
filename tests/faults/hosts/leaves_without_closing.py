"""Starts children, reports their pids, and ends in the given way without closing any."""

from __future__ import annotations

import asyncio
import sys

import safe_llm
from safe_llm import StopPolicy, StopStep
from tests.children import python_child
from tests.faults.hosts import introduce, report


def main(how: str) -> None:
    introduce()
    quick = StopPolicy(steps=(StopStep("close_stdin", 0.3), StopStep(15, 0.3), StopStep(9, 5.0)))
    kinds = ["silent", "ignore_sigterm", "sleeper", "daemonise"] * 3
    children = [safe_llm.spawn(python_child(kind), stop=quick) for kind in kinds]
    daemons = [int(next(one.stdout.lines(timeout=15))) for one in children[3::4]]
    report([*(one.pid for one in children), *daemons])
    if how == "exception":
        raise RuntimeError("on purpose")
    if how == "exit":
        sys.exit(3)
    if how == "loop":
        asyncio.run(leave_in_a_loop())


async def leave_in_a_loop() -> None:
    """End while a task still waits for a child that never answers."""
    child = safe_llm.spawn(python_child("ignore_sigterm"), stop=StopPolicy(steps=()))
    waiting = asyncio.create_task(child.wait_async())
    await asyncio.sleep(0)
    assert not waiting.done()


if __name__ == "__main__":
    main(sys.argv[1])
