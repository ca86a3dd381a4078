"""Forks while it has children, by ``os.fork`` or by ``multiprocessing``; reports what both see."""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import TYPE_CHECKING

import safe_llm
from tests.children import python_child
from tests.faults.hosts import introduce, logged, report

if TYPE_CHECKING:
    from collections.abc import Callable


def in_the_fork() -> None:
    """Use safe_llm in the forked process too, and leave by its ordinary exit."""
    with safe_llm.spawn(python_child("echo")) as child:
        report(["the fork's own child", child.communicate(b"hello\n", timeout=15)[0].decode()])


def fork(check: Callable[[], None]) -> int:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        in_the_fork()
        os.close(writer)
        os.read(reader, 1)  # lives on, with copies of whatever it was given
        sys.exit(0)  # an ordinary exit: handlers of the parent must do nothing here
    check()
    os.close(writer)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def work(check: Callable[[], None]) -> int | None:
    worker = multiprocessing.get_context("fork").Process(target=in_the_fork)
    worker.start()
    check()
    worker.join(15)
    return worker.exitcode


def check(child: safe_llm.Child, flooded: safe_llm.Child) -> None:
    """Everything that was started before the fork is as it was."""
    flooded.stdin.write(b"hello\n")
    report(["drained", next(flooded.stdout.lines(timeout=15)), logged(flooded, 200_000)])
    child.stdin.close()  # the end of file must arrive although a fork is alive
    report(["exited", child.wait(15).describe(), child.drained.wait(15), child.leaked_streams])


def main(how: str) -> None:
    introduce()
    with (
        safe_llm.spawn(python_child("silent")) as child,
        safe_llm.spawn(python_child("flood_on_request", 200_000)) as flooded,
    ):
        use = fork if how == "fork" else work
        report(["the fork ended", use(lambda: check(child, flooded))])


if __name__ == "__main__":
    main(sys.argv[1])
