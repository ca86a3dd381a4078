"""The life of one child: limits, stopping, exit, leaks, sweep, in this order and each bounded."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

import safe_llm
from safe_llm import NO_LIMITS, Limits, StopPolicy, StopStep
from safe_llm.events import LayerTripped, PipeLeaked, ProcessExited, ProcessStarted
from safe_llm.observers.dispatcher import dispatcher
from safe_llm.process import exits
from tests.children import c_child, python_child
from tests.controls.standstill import started

if TYPE_CHECKING:
    from pathlib import Path

    from safe_llm.events import Event

BOUND = 10.0


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


def test_an_observer_hears_of_the_start_and_of_the_exit() -> None:
    events: list[Event] = []
    with safe_llm.spawn(["cat"], observers=[events.append], name="a cat") as child:
        pass
    assert dispatcher().flush(BOUND)
    start, end = events
    assert isinstance(start, ProcessStarted)
    assert (start.source, start.pid, start.argv) == ("a cat", child.pid, ("cat",))
    assert isinstance(end, ProcessExited)
    assert (end.status, end.wanted) == ("exited with status 0", True)


def test_a_child_that_ends_by_itself_was_not_asked_to() -> None:
    events: list[Event] = []
    with safe_llm.spawn(["false"], observers=[events.append]) as child:
        child.wait(BOUND)
    assert dispatcher().flush(BOUND)
    assert [one.wanted for one in events if isinstance(one, ProcessExited)] == [False]


def test_l4_ends_a_runaway_although_it_has_a_stdin_to_wait_for() -> None:
    events: list[Event] = []
    limits = NO_LIMITS.with_changes(job=0.1)
    with safe_llm.spawn(python_child("silent"), limits=limits, observers=[events.append]) as child:
        assert child.wait(BOUND).signal == signal.SIGTERM
        assert child.stop_reason == "L4 job: it ran for 0.1 s"
    assert dispatcher().flush(BOUND)
    (tripped,) = [one for one in events if isinstance(one, LayerTripped)]
    assert (tripped.layer, tripped.action) == ("L4 job", "stop")


def test_l5_warns_where_it_is_told_to_and_once(compiled: Path) -> None:
    events: list[Event] = []
    limits = Limits(flood_bytes=100_000, flood_action="warn")
    argv = c_child("writer_64k", 3_000_000, 2, cache=compiled)
    with safe_llm.spawn(argv, limits=limits, observers=[events.append]) as child:
        assert child.wait(BOUND).code == 0
    assert dispatcher().flush(BOUND)
    (tripped,) = [one for one in events if isinstance(one, LayerTripped)]
    assert (tripped.layer, tripped.action) == ("L5 flood", "warn")


def test_stdout_is_no_log_and_no_flood(compiled: Path) -> None:
    limits = Limits(flood_bytes=100_000)
    argv = c_child("writer_64k", 3_000_000, 1, cache=compiled)
    with safe_llm.spawn(argv, limits=limits) as child:
        assert child.wait(BOUND).code == 0
        assert child.stop_reason == ""


def test_the_policy_of_a_stop_decides_about_its_sweep() -> None:
    with safe_llm.spawn(python_child("daemonise")) as child:
        daemon = int(next(child.stdout.lines(timeout=BOUND)))
        child.stop(StopPolicy(sweep="none"))
        assert started(daemon) is not None
    os.kill(daemon, signal.SIGKILL)


def test_a_policy_without_sigkill_never_declares_the_living_dead() -> None:
    with safe_llm.spawn(python_child("ignore_sigterm")) as child:
        next(child.stdout.lines(timeout=BOUND))
        status = child.stop(StopPolicy(steps=(StopStep(signal.SIGTERM, 0.05),), sweep="none"))
        assert status.signal == signal.SIGKILL
        assert started(child.pid) is None


def test_an_impatient_stop_takes_over_from_a_patient_one() -> None:
    with safe_llm.spawn(python_child("ignore_sigterm")) as child:
        next(child.stdout.lines(timeout=BOUND))
        child.begin_stop(StopPolicy(steps=(StopStep("close_stdin", 600.0),)))
        child.kill()
        assert child.wait(BOUND).signal == signal.SIGKILL


def test_the_same_stop_asked_twice_is_one_stop() -> None:
    policy = StopPolicy(steps=(StopStep(signal.SIGTERM, 600.0),))
    with safe_llm.spawn(python_child("log_in_sigterm", 10), stop=policy) as child:
        next(child.stdout.lines(timeout=BOUND))
        for _ in range(5):
            child.begin_stop()
        assert child.wait(BOUND).code == 0
        assert child.drained.wait(BOUND)
        assert child.stderr.received_bytes == 10


def test_a_child_whose_stdin_was_closed_a_moment_ago_has_its_grace() -> None:
    with safe_llm.spawn(["cat"]) as child:
        child.stdin.write(b"x" * 100_000)
        child.stdin.close()
    assert child.exit_status is not None
    assert child.exit_status.code == 0


def test_a_leaked_pipe_is_closed_and_reported() -> None:
    events: list[Event] = []
    policy = StopPolicy(pipe_grace=0.05, sweep="none")
    argv = python_child("grandchild_holds_pipe")
    with safe_llm.spawn(argv, stop=policy, observers=[events.append]) as child:
        grandchild = int(next(child.stdout.lines(timeout=BOUND)))
        assert child.drained.wait(BOUND)
    assert sorted(child.leaked_streams) == ["stderr", "stdout"]
    assert dispatcher().flush(BOUND)
    assert {one.stream for one in events if isinstance(one, PipeLeaked)} == {"stdout", "stderr"}
    os.kill(grandchild, signal.SIGKILL)


def test_what_lies_in_the_pipe_at_the_exit_is_delivered() -> None:
    with safe_llm.spawn(python_child("last_words", 60_000, 3)) as child:
        assert child.wait(BOUND).code == 3
        assert child.stderr.received_bytes == 60_000
        assert child.last_words().endswith("the very last words")


def test_a_signal_to_a_child_that_somebody_else_reaped_goes_to_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signalled: list[tuple[int, int]] = []
    with safe_llm.spawn(["cat"]) as child:
        child.stdin.close()
        while exits.is_unreaped(child.pid):
            pass
        monkeypatch.setattr(os, "killpg", lambda *args: signalled.append(args))
        child.terminate()
        child.kill()
        child.wait(BOUND)
    assert signalled == []
