"""How a process ended is learnt once, by whichever way there is, and told in plain words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from safe_llm.process import exits
from safe_llm.process.exits import REAPED_ELSEWHERE, ExitStatus, from_wait_status
from tests.children import python_child

BOUND = 10.0


@pytest.mark.parametrize(
    ("status", "returncode", "said"),
    [
        (ExitStatus(code=0), 0, "exited with status 0"),
        (ExitStatus(code=7), 7, "exited with status 7"),
        (ExitStatus(signal=signal.SIGSEGV), -11, "ended by SIGSEGV (crashed on invalid memory)"),
        (ExitStatus(signal=signal.SIGUSR1), -10, "ended by SIGUSR1"),
        (ExitStatus(signal=40), -40, "ended by signal 40"),
        (
            ExitStatus(signal=9, note="by the OOM killer"),
            -9,
            "ended by SIGKILL (by the OOM killer)",
        ),
        (ExitStatus(note="why"), None, "exit status unknown (why)"),
    ],
)
def test_a_status_tells_how_it_ended(status: ExitStatus, returncode: int | None, said: str) -> None:
    assert (status.returncode, status.describe()) == (returncode, said)


@pytest.mark.parametrize("status", [0, 7, -9, -15])
def test_it_reads_what_waitpid_returns(status: int) -> None:
    child = subprocess.Popen(python_child("crash_at_start", status), stderr=subprocess.DEVNULL)
    _, raw = os.waitpid(child.pid, 0)
    child.returncode = 0
    assert from_wait_status(raw).returncode == status


def test_a_child_that_somebody_else_reaped_is_unknown_and_no_error() -> None:
    child = subprocess.Popen(["true"])
    child.wait(BOUND)
    assert exits.reap(child.pid) == REAPED_ELSEWHERE
    assert not exits.is_unreaped(child.pid)
    assert REAPED_ELSEWHERE.describe().startswith("exit status unknown (reaped elsewhere")


def test_reaping_a_child_that_runs_blocks_nobody() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert exits.is_unreaped(child.pid)
        assert exits.reap(child.pid) is None
        child.kill()


def test_without_pidfds_a_thread_learns_of_the_exit_and_everything_else_is_the_same() -> None:
    program = """
import os, sys
from contextlib import suppress
del os.pidfd_open
import safe_llm
with safe_llm.spawn([sys.executable, "-S", "-c", "print('hello'); raise SystemExit(7)"]) as child:
    print(child.communicate(timeout=10)[0], child.exit_status.describe())
with safe_llm.spawn(["cat"]) as child:
    child.kill()
    print(child.wait(10).describe())
with safe_llm.spawn(["true"]) as child:
    with suppress(ChildProcessError):
        os.waitpid(child.pid, 0)  # as user code may
    print(child.wait(10).returncode in {0, None})
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=BOUND, check=False
    )
    assert done.stdout.decode().splitlines()[0] == "b'hello\\n' exited with status 7", done.stderr
    assert done.stdout.decode().splitlines()[1].startswith("ended by SIGKILL"), done.stderr
    assert done.stdout.decode().splitlines()[2] == "True", done.stderr
