"""Is interrupted while it waits for its child, as by Ctrl-C; reports that the child lives on."""

from __future__ import annotations

import asyncio
import sys

import safe_llm
from tests.children import python_child
from tests.faults.hosts import introduce, report


def main(how: str) -> None:
    introduce()
    with safe_llm.spawn(python_child("echo")) as child:
        try:
            report("waiting")
            if how == "sync":
                next(child.stdout.lines(timeout=60))
            else:
                asyncio.run(wait(child))
        except KeyboardInterrupt:
            report("interrupted")
        child.stdin.write(b"still here\n")
        report(next(child.stdout.lines(timeout=15)))


async def wait(child: safe_llm.Child) -> None:
    await child.wait_async(60)


if __name__ == "__main__":
    main(sys.argv[1])
