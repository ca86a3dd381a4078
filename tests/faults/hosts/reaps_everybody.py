"""Takes the exit statuses of our children away in the given way; reports how everything ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress

import safe_llm
from tests.children import python_child
from tests.controls.standstill import started
from tests.faults.hosts import introduce, report


def reap_for_ever() -> None:
    """Wait for any child, as a careless init or a test runner does."""
    while True:
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)
        time.sleep(0.001)


def main(how: str) -> None:
    if how == "ignored":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    else:
        threading.Thread(target=reap_for_ever, daemon=True).start()
    introduce()
    with safe_llm.spawn(python_child("crash_on_request", 7)) as child:
        child.stdin.write(b"crash\n")
        report(["exit", child.wait(15).describe()])
        child.drained.wait(15)
        report(["last words", child.last_words()])
    with safe_llm.spawn(python_child("ignore_sigterm")) as child:
        next(child.stdout.lines(timeout=15))
        child.kill()
        report(["kill", child.wait(15).describe()])
    with safe_llm.spawn(python_child("grandchild_holds_pipe")) as child:
        left_behind = int(next(child.stdout.lines(timeout=15)))
        child.stop()
        report(["left behind", started(left_behind)])
    with safe_llm.spawn(python_child("silent")) as child:
        report(["communicate", len(child.communicate(b"x", timeout=15))])


if __name__ == "__main__":
    main(sys.argv[1])
