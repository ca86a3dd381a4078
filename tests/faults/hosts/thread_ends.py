"""Uses safe_llm for the first time on a thread, which ends; reports what its child then answers."""

from __future__ import annotations

import threading

import safe_llm
from tests.children import python_child
from tests.faults.hosts import introduce, report


def main() -> None:
    children: list[safe_llm.Child] = []

    def use() -> None:
        introduce()
        children.append(safe_llm.spawn(python_child("echo")))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    with children[0] as child:
        child.stdin.write(b"still here\n")
        report(next(child.stdout.lines(timeout=15)))


if __name__ == "__main__":
    main()
