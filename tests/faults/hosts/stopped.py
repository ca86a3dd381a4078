"""Is stopped and continued while it waits, for longer than its limits; reports the answer."""

from __future__ import annotations

import safe_llm
from safe_llm import NO_LIMITS
from tests.children import python_child
from tests.faults.hosts import introduce, report


def main() -> None:
    introduce()
    program = "import sys, time; sys.stdin.readline(); time.sleep(0.5); print('answer', flush=True)"
    argv = [python_child("echo")[0], "-S", "-c", program]
    limits = NO_LIMITS.with_changes(job=1.5)
    with safe_llm.spawn(argv, limits=limits) as child:
        child.stdin.write(b"a question\n")
        report("waiting")
        try:
            report(next(child.stdout.lines(timeout=1.0)))
        except safe_llm.CallTimeout as error:
            report(str(error))
        report(child.stop_reason)


if __name__ == "__main__":
    main()
