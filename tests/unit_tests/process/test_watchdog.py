"""Our end of the orphan watchdog: one process, informed of every child, let go in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import safe_llm
from safe_llm.process.hub import hub

BOUND = 10.0


def watchdog() -> safe_llm.Child:
    child = hub()._watchdog.child
    assert child is not None
    return child


def test_the_watchdog_is_no_child_of_the_users() -> None:
    with safe_llm.spawn(["cat"]):
        assert watchdog().exit_status is None
        assert watchdog() not in hub().children


def test_a_watchdog_that_was_killed_is_replaced_and_knows_the_living() -> None:
    with safe_llm.spawn(["cat"]) as living:
        killed = watchdog()
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait(BOUND)
        with safe_llm.spawn(["cat"]):
            assert watchdog() is not killed
            record = hub()._lives[living].record
            assert watchdog().stdin.drain(BOUND)
            assert watchdog().stdin.written_bytes >= 2 * len(record)


def test_a_watchdog_that_is_gone_does_not_disturb_the_children() -> None:
    with safe_llm.spawn(["cat"]) as child:
        os.kill(watchdog().pid, signal.SIGKILL)
        watchdog().wait(BOUND)
        child.stdin.write(b"still here\n")
        assert next(child.stdout.lines(timeout=BOUND)) == "still here"
        child.stdin.close()
        assert child.stop().code == 0


def test_an_orderly_exit_leaves_no_watchdog_behind() -> None:
    program = (
        "import safe_llm; from safe_llm.process.hub import hub\n"
        "child = safe_llm.spawn(['cat'])\n"
        "print(child.pid, hub()._watchdog.child.pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=20, check=False
    )
    pids = [int(one) for one in done.stdout.split()]
    assert len(pids) == 2, done.stderr
    for pid in pids:
        assert not os.path.exists(f"/proc/{pid}"), pid  # noqa: PTH110 - one question, one line


def test_a_watchdog_that_cannot_be_started_keeps_no_child_from_being_and_is_reported() -> None:
    program = (
        "import safe_llm\nfrom safe_llm.process import orphans\n"
        "from safe_llm.process.hub import hub\n"
        "orphans.watchdog_argv = lambda *_: ['/nowhere/python']\n"
        "child = safe_llm.spawn(['cat'])\n"
        "print(child.exit_status, hub().statistics().orphan_protection)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=20, check=False
    )
    assert done.stdout.startswith(b"None cannot start '/nowhere/python'"), done
