"""An engine that crashes, is killed, stopped or will not end: told, replaced, never left."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from safe_llm.errors import EngineDied, NotReady, RestartLimitReached
from safe_llm.limits import NO_LIMITS, Limits, StopPolicy, StopStep
from safe_llm.process.exits import ExitStatus
from safe_llm.supervise.restart import RestartPolicy
from tests.disturbances import CRASH, IGNORE_SIGTERM, LEAVE_A_GRANDCHILD
from tests.engine_kinds import LLAMA_CPP_PYTHON
from tests.llama_engine import (
    BOUND,
    ENDLESS,
    HELLO,
    PATIENT,
    child_of,
    comes_true,
    leased,
    pause,
    pid_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safe_llm.engines.base import CompletionChunk
    from safe_llm.engines.lease import Lease
    from tests.engine_kinds import Kind
    from tests.faults.conftest import Figure

pytestmark = pytest.mark.usefixtures("model", "oracle")


def _kill(engine: Lease) -> None:
    for pid in engine.status().pids:
        os.killpg(pid, signal.SIGKILL)


def _read_to_the_end_of_its(engine: Lease, stream: Iterator[CompletionChunk]) -> None:
    _kill(engine)
    list(stream)


@pytest.mark.row(20)
def test_a_crash_at_the_start_is_told_with_its_status_and_last_words(
    kind: Kind, model: Path, tmp_path: Path, figure: Figure
) -> None:
    with leased(kind.disturbed(model, tmp_path, CRASH), NO_LIMITS) as engine:
        with figure("a crash at the start is told"), pytest.raises(NotReady) as caught:
            engine.complete(HELLO, NO_LIMITS)
        assert caught.value.exit_status == "exited with status 7"
        assert caught.value.last_words == "fatal: assertion failed"
        assert engine.status().calls_in_flight == 0


@pytest.mark.row(20)
@pytest.mark.row(21)
@pytest.mark.parametrize("limits", [NO_LIMITS, Limits()], ids=["no limits", "default limits"])
def test_a_death_in_a_call_is_told_at_once_and_never_as_a_timeout(
    limits: Limits, kind: Kind, model: Path, figure: Figure
) -> None:
    with leased(kind.spec(model), limits) as engine:
        stream = iter(engine.stream(ENDLESS, limits))
        next(stream)
        pid = pid_of(engine)
        with figure("kill -9 in a call is told"), pytest.raises(EngineDied) as caught:
            _read_to_the_end_of_its(engine, stream)
        assert "SIGKILL" in caught.value.exit_status
        assert kind.log_of_a_start in caught.value.last_words
        with figure("and the next call is answered"):
            engine.complete(HELLO, PATIENT)
        assert pid_of(engine) != pid
        assert engine.status().restarts == 1


@pytest.mark.row(21)
def test_every_call_that_a_process_works_on_learns_of_its_death(
    kind: Kind, model: Path, figure: Figure
) -> None:
    ended: list[BaseException] = []

    def call() -> None:
        try:
            other.complete(ENDLESS, PATIENT)
        except EngineDied as error:
            ended.append(error)

    with leased(kind.spec(model, at_once=3)) as other:
        other.start(PATIENT)
        calls = kind.calls_a_process * len(other.status().pids)
        threads = [threading.Thread(target=call) for _ in range(calls)]
        for thread in threads:
            thread.start()
        assert comes_true(lambda: other.status().calls_in_flight == calls)
        with figure(f"{calls} calls are told"):
            _kill(other)
            for thread in threads:
                thread.join(BOUND)
        assert len(ended) == calls


@pytest.mark.row(21)
def test_the_death_of_one_worker_costs_its_call_and_no_other(model: Path, figure: Figure) -> None:
    """Of llama-cpp-python only: a llama-server is one process, and takes all its calls with it."""
    with ThreadPoolExecutor(3) as pool, leased(LLAMA_CPP_PYTHON.spec(model, at_once=2)) as engine:
        engine.start(PATIENT)
        endless = [pool.submit(engine.complete, ENDLESS, PATIENT) for _ in range(2)]
        assert comes_true(lambda: engine.status().calls_in_flight == 2)
        queued = pool.submit(engine.complete, HELLO, PATIENT)
        killed, other = engine.status().pids
        with figure("a call in the queue is answered after a death"):
            os.killpg(killed, signal.SIGKILL)
            assert queued.result(BOUND).finish_reason == "length"
        assert [one.done() for one in endless].count(True) == 1
        assert [type(one.exception()) for one in endless if one.done()] == [EngineDied]
        assert other in engine.status().pids


@pytest.mark.row(21)
def test_too_many_deaths_are_the_end_and_the_error_says_how_many(kind: Kind, model: Path) -> None:
    policy = RestartPolicy(max_restarts=2, window=3600.0, backoff=0.0)
    with leased(kind.spec(model), restart_policy=policy) as engine:
        for _ in range(3):
            engine.start(PATIENT)
            _kill(engine)
            assert comes_true(lambda: engine.status().state != "ready")
        with pytest.raises(RestartLimitReached) as caught:
            engine.complete(HELLO, PATIENT)
        assert (caught.value.restarts, caught.value.window) == (2, 3600.0)
        assert "SIGKILL" in caught.value.exit_status
        assert kind.log_of_a_start in caught.value.last_words
        assert engine.status().state == "failed"


@pytest.mark.row(21)
def test_an_engine_that_died_while_nobody_called_is_there_again(kind: Kind, model: Path) -> None:
    with leased(kind.spec(model)) as engine:
        engine.start(PATIENT)
        pid = pid_of(engine)
        _kill(engine)
        assert comes_true(lambda: engine.status().pid not in {pid, None})
        engine.complete(HELLO, PATIENT)


@pytest.mark.row(22)
def test_an_engine_that_is_stopped_by_a_signal_can_be_closed(
    kind: Kind, model: Path, figure: Figure
) -> None:
    with leased(kind.spec(model)) as engine:
        engine.start(PATIENT)
        pause(pid_of(engine))
        with figure("a stopped engine is closed"):
            engine.close()


@pytest.mark.row(24)
def test_an_engine_that_ignores_sigterm_is_killed_after_its_grace(
    kind: Kind, model: Path, tmp_path: Path, figure: Figure
) -> None:
    policy = StopPolicy(steps=(StopStep(signal.SIGTERM, 0.3), StopStep(signal.SIGKILL, BOUND)))
    with leased(kind.disturbed(model, tmp_path, IGNORE_SIGTERM), stop_policy=policy) as engine:
        engine.start(PATIENT)
        child = child_of(engine)
        with figure("SIGTERM is ignored, grace 0.3 s"):
            engine.close()
        assert child.exit_status == ExitStatus(signal=signal.SIGKILL)


@pytest.mark.row(26)
def test_what_an_engine_leaves_behind_neither_delays_a_call_nor_survives(
    kind: Kind, model: Path, tmp_path: Path, figure: Figure
) -> None:
    """A grandchild in a session of its own holds all pipes."""
    with leased(kind.disturbed(model, tmp_path, LEAVE_A_GRANDCHILD)) as engine:
        engine.start(PATIENT)
        stream = iter(engine.stream(ENDLESS, PATIENT))
        next(stream)
        with figure("the death is told though the pipes are held"), pytest.raises(EngineDied):
            _read_to_the_end_of_its(engine, stream)
        engine.complete(HELLO, PATIENT)
        with figure("close"):
            engine.close()
