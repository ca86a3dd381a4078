"""Stopping: every end is bounded, nothing survives it, and the exit is not the end of a pipe."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

import safe_llm
from safe_llm import StopPolicy, StopStep
from tests.children import python_child
from tests.controls.standstill import started
from tests.controls.verdict import Reason, run_control
from tests.faults.host import births, wait_dead
from tests.faults.oracle import bearers_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import Figure

pytestmark = pytest.mark.usefixtures("oracle")

QUICK = StopPolicy(steps=(StopStep("close_stdin", 0.1), StopStep(15, 0.3), StopStep(9, 5.0)))


@pytest.mark.row(24)
def test_who_ignores_sigterm_is_killed_after_the_grace(figure: Figure) -> None:
    with safe_llm.spawn(python_child("ignore_sigterm"), stop=QUICK) as child:
        next(child.stdout.lines(timeout=10))
        with figure("SIGTERM ignored; graces of 0.1 and 0.3 s"):
            assert child.stop().signal == signal.SIGKILL


@pytest.mark.row(25)
def test_a_sigterm_handler_that_logs_300_kb_comes_to_its_end(figure: Figure) -> None:
    policy = StopPolicy(steps=(StopStep(signal.SIGTERM, 10.0), StopStep(signal.SIGKILL, 5.0)))
    with safe_llm.spawn(python_child("log_in_sigterm", 300_000), stop=policy) as child:
        next(child.stdout.lines(timeout=10))
        with figure("300 KB in a SIGTERM handler"):
            assert child.stop().code == 0
        assert child.stderr.received_bytes == 300_000


@pytest.mark.row(25)
def test_a_sigterm_handler_that_logs_into_an_unread_pipe_never_ends() -> None:
    outcome = run_control("U", python_child("log_in_sigterm", 300_000), "stop")
    assert (outcome.reason, outcome.descriptor) == (Reason.BLOCKED_IN_WRITE, 2), outcome


@pytest.mark.row(26)
def test_an_exit_is_seen_at_once_although_a_grandchild_holds_the_pipes(figure: Figure) -> None:
    policy = StopPolicy(sweep="none")
    with safe_llm.spawn(python_child("grandchild_holds_pipe"), stop=policy) as child:
        grandchild = int(next(child.stdout.lines(timeout=10)))
        with figure("exit seen beside a grandchild that holds the pipes"):
            assert child.wait(10).code == 0
        with figure("pipes closed, leak reported"):
            assert child.closed.wait(10)
        assert sorted(child.leaked_streams) == ["stderr", "stdout"]
    assert started(grandchild) is not None
    os.kill(grandchild, signal.SIGKILL)


@pytest.mark.row(26)
@pytest.mark.parametrize("kind", ["grandchild_holds_pipe", "grandchild_writes_on"])
def test_a_grandchild_that_is_left_behind_goes_with_its_parent(kind: str) -> None:
    with safe_llm.spawn(python_child(kind)) as child:
        assert child.wait(10).code == 0
    assert bearers_of(child._hub.cookie_name) == []


@pytest.mark.row(26)
def test_a_grandchild_that_writes_on_gets_a_broken_pipe(tmp_path: Path) -> None:
    policy = StopPolicy(sweep="none", pipe_grace=0.2)
    told = tmp_path / "pid"  # in a file: its first line could be the first to be dropped
    script = 'sh -c \'echo $$ > $0; exec cat /dev/zero\' "$0" & until test -s "$0"; do :; done'
    with safe_llm.spawn(["sh", "-c", script, str(told)], stop=policy) as child:
        assert child.wait(10).code == 0
        assert child.drained.wait(10)  # by us, since the grandchild goes on
    assert sorted(child.leaked_streams) == ["stderr", "stdout"]
    assert wait_dead(births([int(told.read_text())])) == []


@pytest.mark.row(26)
def test_the_popular_wait_never_returns_while_a_grandchild_holds_the_pipes() -> None:
    outcome = run_control("N", python_child("grandchild_holds_pipe"), "wait_for_exit")
    assert outcome.reason is Reason.WAIT_DOES_NOT_RETURN, outcome


@pytest.mark.row(27)
def test_a_daemonised_grandchild_is_swept(figure: Figure) -> None:
    with safe_llm.spawn(python_child("daemonise"), stop=QUICK) as child:
        daemon = int(next(child.stdout.lines(timeout=10)))
        with figure("daemon in its own session swept"):
            child.stop()
    assert started(daemon) is None


@pytest.mark.row(28)
def test_the_end_of_both_pipes_is_not_the_end_of_the_child() -> None:
    with safe_llm.spawn(python_child("close_outputs")) as child:
        assert child.drained.wait(10)
        assert list(child.stdout.lines(timeout=10)) == ["closing"]
        assert child.exit_status is None
        assert started(child.pid) is not None
        child.stdin.close()
        assert child.wait(10).code == 3
        assert child.leaked_streams == []
