"""A llama-server that crashes, is killed, stopped or will not end: told, replaced, never left."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from safe_llm.errors import EngineDied, NotReady, RestartLimitReached
from safe_llm.limits import NO_LIMITS, Limits, StopPolicy, StopStep
from safe_llm.supervise.restart import RestartPolicy
from tests.children import python_child
from tests.llama_engine import (
    BOUND,
    ENDLESS,
    HELLO,
    PATIENT,
    PYTHONPATH,
    SERVER,
    comes_true,
    leased,
    pause,
    pid_of,
    tiny_spec,
    wrapped_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safe_llm.engines.base import CompletionChunk
    from safe_llm.engines.lease import Lease
    from tests.faults.conftest import Figure


def _kill(engine: Lease) -> None:
    os.killpg(pid_of(engine), signal.SIGKILL)


def _read_to_the_end_of_its(engine: Lease, stream: Iterator[CompletionChunk]) -> None:
    _kill(engine)
    list(stream)


@pytest.mark.row(20)
def test_a_crash_at_the_start_is_told_with_its_status_and_last_words(
    model: Path, tmp_path: Path, figure: Figure
) -> None:
    crash = " ".join(python_child("crash_at_start"))
    spec = tiny_spec(model, binary=wrapped_server(tmp_path / "s", start=crash), env=PYTHONPATH)
    with leased(spec, NO_LIMITS) as engine:
        with figure("a crash at the start is told"), pytest.raises(NotReady) as caught:
            engine.complete(HELLO, NO_LIMITS)
        assert caught.value.exit_status.startswith("exited with status")
        assert caught.value.last_words
        assert engine.status().calls_in_flight == 0


@pytest.mark.row(20)
@pytest.mark.row(21)
@pytest.mark.parametrize("limits", [NO_LIMITS, Limits()], ids=["no limits", "default limits"])
def test_a_death_in_a_call_is_told_at_once_and_never_as_a_timeout(
    limits: Limits, model: Path, figure: Figure
) -> None:
    with leased(tiny_spec(model), limits) as engine:
        stream = iter(engine.stream(ENDLESS, limits))
        next(stream)
        pid = pid_of(engine)
        with figure("kill -9 in a call is told"), pytest.raises(EngineDied) as caught:
            _read_to_the_end_of_its(engine, stream)
        assert "SIGKILL" in caught.value.exit_status
        assert "listening on" in caught.value.last_words
        with figure("and the next call is answered"):
            engine.complete(HELLO, PATIENT)
        assert pid_of(engine) != pid
        assert engine.status().restarts == 1


@pytest.mark.row(21)
def test_every_call_in_flight_learns_of_the_death(model: Path, figure: Figure) -> None:
    ended: list[BaseException] = []

    def call() -> None:
        try:
            other.complete(ENDLESS, PATIENT)
        except EngineDied as error:
            ended.append(error)

    with leased(tiny_spec(model)) as other:
        other.start(PATIENT)
        threads = [threading.Thread(target=call) for _ in range(12)]
        for thread in threads:
            thread.start()
        assert comes_true(lambda: other.status().calls_in_flight == 12)
        with figure("12 calls are told"):
            _kill(other)
            for thread in threads:
                thread.join(BOUND)
        assert len(ended) == 12


@pytest.mark.row(21)
def test_too_many_deaths_are_the_end_and_the_error_says_how_many(model: Path) -> None:
    policy = RestartPolicy(max_restarts=2, window=3600.0, backoff=0.0)
    with leased(tiny_spec(model), restart_policy=policy) as engine:
        for _ in range(3):
            engine.start(PATIENT)
            _kill(engine)
            assert comes_true(lambda: engine.status().state != "ready")
        with pytest.raises(RestartLimitReached) as caught:
            engine.complete(HELLO, PATIENT)
        assert (caught.value.restarts, caught.value.window) == (2, 3600.0)
        assert "SIGKILL" in caught.value.exit_status
        assert "listening on" in caught.value.last_words
        assert engine.status().state == "failed"


@pytest.mark.row(21)
def test_an_engine_that_died_while_nobody_called_is_there_again(model: Path) -> None:
    with leased(tiny_spec(model)) as engine:
        engine.start(PATIENT)
        pid = pid_of(engine)
        _kill(engine)
        assert comes_true(lambda: engine.status().pid not in {pid, None})
        engine.complete(HELLO, PATIENT)


@pytest.mark.row(22)
def test_an_engine_that_is_stopped_by_a_signal_can_be_closed(model: Path, figure: Figure) -> None:
    with leased(tiny_spec(model)) as engine:
        engine.start(PATIENT)
        pause(pid_of(engine))
        with figure("a stopped engine is closed"):
            engine.close()


@pytest.mark.row(24)
def test_an_engine_that_ignores_sigterm_is_killed_after_its_grace(
    model: Path, tmp_path: Path, figure: Figure
) -> None:
    stays = wrapped_server(
        tmp_path / "server", "trap '' TERM", start=f'{SERVER} "$@" & while :; do sleep 1; done'
    )
    policy = StopPolicy(steps=(StopStep(signal.SIGTERM, 0.3), StopStep(signal.SIGKILL, BOUND)))
    spec = tiny_spec(model, binary=stays, env=PYTHONPATH)
    with leased(spec, stop_policy=policy) as engine:
        engine.start(PATIENT)
        with figure("SIGTERM is ignored, grace 0.3 s"):
            engine.close()


@pytest.mark.row(26)
def test_what_an_engine_leaves_behind_neither_delays_a_call_nor_survives(
    model: Path, tmp_path: Path, figure: Figure
) -> None:
    """A grandchild in a session of its own holds both pipes."""
    leaves = wrapped_server(tmp_path / "server", "setsid sleep 600 &")
    with leased(tiny_spec(model, binary=leaves, env=PYTHONPATH)) as engine:
        engine.start(PATIENT)
        stream = iter(engine.stream(ENDLESS, PATIENT))
        next(stream)
        with figure("the death is told though the pipes are held"), pytest.raises(EngineDied):
            _read_to_the_end_of_its(engine, stream)
        engine.complete(HELLO, PATIENT)
        with figure("close"):
            engine.close()
