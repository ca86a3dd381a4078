"""The playbook on engines: the same ten rules, on each kind of engine that this package starts.

``test_always`` and ``test_never`` tell what each rule forbids, on children that anybody may have.
Here the children are real engines, each with a real model, and nobody but the engine reads them.
"""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest

from safe_llm import CallTimeout, EngineDied, Limits, StopPolicy, StopStep
from tests.controls.standstill import started, stat_fields
from tests.disturbances import (
    CLOSE_OUTPUTS,
    FLOOD,
    FLOOD_BYTES,
    IGNORE_SIGTERM,
    PRINT,
    PRINT_A_MILLION,
    TORRENT,
    TORRENT_BYTES,
    disturb,
    disturb_its_log,
)
from tests.engine_kinds import becomes_idle
from tests.llama_engine import (
    BOUND,
    ENDLESS,
    HELLO,
    PATIENT,
    child_of,
    comes_true,
    leased,
    paused,
    pid_of,
)
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from pathlib import Path

    from safe_llm.engines.lease import Lease
    from tests.engine_kinds import Kind

PIPE_BYTES = 64 * 1024
MiB = 1024 * 1024


def test_always_read_stderr_in_the_background(kind: Kind, tmp_path: Path) -> None:
    # It writes more than a pipe holds before it can answer: 7 KB a layer while it loads them.
    with leased(kind.talkative(tiny_gguf(tmp_path, layers=16))) as engine:
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"
        assert engine.status().stderr_bytes > PIPE_BYTES


def test_always_read_stdout_in_the_background(kind: Kind, model: Path, tmp_path: Path) -> None:
    with leased(kind.disturbed(model, tmp_path, PRINT_A_MILLION)) as engine:
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"
        assert engine.status().stdout_bytes >= 1_000_000


def test_always_cap_what_is_read(kind: Kind, model: Path, tmp_path: Path) -> None:
    with leased(kind.disturbed(model, tmp_path, TORRENT)) as engine:
        engine.start(PATIENT)
        before = psutil.Process().memory_info().rss
        disturb(engine)
        assert comes_true(partial(_has_logged, engine, TORRENT_BYTES))
        assert psutil.Process().memory_info().rss - before < 64 * MiB
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"


def test_always_make_the_child_flush(kind: Kind, model: Path, tmp_path: Path) -> None:
    with leased(kind.disturbed(model, tmp_path, PRINT)) as engine:
        engine.start(PATIENT)
        assert comes_true(lambda: engine.status().stdout_bytes > 0)
        assert child_of(engine).exit_status is None
        assert child_of(engine).last_words()


def test_always_stop_gracefully_then_by_force_and_wait_until_it_is_dead(
    kind: Kind, model: Path, tmp_path: Path
) -> None:
    with leased(kind.spec(model)) as engine:
        engine.start(PATIENT)
        child = child_of(engine)
        engine.close()
        assert child.exit_status is not None
        assert child.exit_status.signal != signal.SIGKILL

    quick = StopPolicy(steps=(StopStep(signal.SIGTERM, 0.2), StopStep(signal.SIGKILL, 5.0)))
    with leased(kind.disturbed(model, tmp_path, IGNORE_SIGTERM), stop_policy=quick) as engine:
        engine.start(PATIENT)
        child, born = child_of(engine), started(pid_of(engine))
        engine.close()
        assert child.exit_status is not None
        assert child.exit_status.signal == signal.SIGKILL
        found = stat_fields(child.pid)  # of a stranger at most, to whom the pid was given since
        assert found is None or (int(found[1]), int(found[19])) != (os.getpid(), born)


def test_never_wait_for_the_exit_before_reading(kind: Kind, model: Path, tmp_path: Path) -> None:
    # It is stopped while it writes thousands of pipes full.
    with leased(kind.disturbed(model, tmp_path, TORRENT)) as engine:
        engine.start(PATIENT)
        child, before = child_of(engine), engine.status().stderr_bytes
        disturb(engine)
        assert comes_true(lambda: child.stderr.received_bytes > before + 10 * PIPE_BYTES)
        engine.close()
        assert child.exit_status is not None
        assert child.drained.wait(BOUND)


def test_never_take_a_timeout_for_a_stopped_process(kind: Kind, model: Path) -> None:
    with leased(kind.spec(model)) as engine:
        engine.start(PATIENT)
        pid = pid_of(engine)
        with pytest.raises(CallTimeout):
            engine.complete(ENDLESS, PATIENT.with_changes(total=0.2))
        with pytest.raises(TimeoutError):  # whoever catches the usual class catches ours
            engine.complete(ENDLESS, PATIENT.with_changes(total=0.2))
        assert becomes_idle(engine)
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"
        assert (pid_of(engine), engine.status().restarts) == (pid, 0)


def test_never_take_no_more_output_for_a_dead_child(
    kind: Kind, model: Path, tmp_path: Path
) -> None:
    with leased(kind.disturbed(model, tmp_path, CLOSE_OUTPUTS)) as engine:
        engine.start(PATIENT)
        child, pid = child_of(engine), pid_of(engine)
        disturb_its_log(engine)
        assert comes_true(lambda: child.stdout.ended and child.stderr.ended)
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"
        assert (pid_of(engine), engine.status().restarts) == (pid, 0)

        # Nor the other way round: a death is one, whatever has become of the pipes.
        stream = engine.stream(ENDLESS, PATIENT)
        next(stream)
        os.killpg(pid, signal.SIGKILL)
        with pytest.raises(EngineDied):
            list(stream)


def test_never_put_http_style_timeouts_on_a_pipe(kind: Kind, model: Path) -> None:
    # Silence is no fault by itself. With the default limits of all five layers none is at work
    # that a second without a byte could trip, and what comes late is the whole of the answer.
    with leased(kind.spec(model), Limits()) as engine:
        stream = engine.stream({**HELLO, "n_predict": 200}, Limits())
        first, pid = next(stream), pid_of(engine)
        with paused(pid):
            threading.Event().wait(1.0)
        *_, last = stream
        assert first.text
        assert last.usage is not None
        assert last.usage.completion_tokens == 200

        # A gap that the caller does name ends the call, and nothing else.
        stream = engine.stream(ENDLESS, PATIENT.with_changes(gap=0.2))
        next(stream)
        with paused(pid), pytest.raises(CallTimeout):
            list(stream)
        assert becomes_idle(engine)
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"
        assert pid_of(engine) == pid


@pytest.mark.timeout(10)  # the limit that the rule itself names
def test_never_skip_the_200_kb_stderr_stress_test(kind: Kind, model: Path, tmp_path: Path) -> None:
    with leased(kind.disturbed(model, tmp_path, FLOOD)) as engine:
        engine.start(PATIENT)
        for number in range(1, 6):
            disturb(engine)
            assert engine.complete(HELLO, PATIENT).finish_reason == "length"
            assert comes_true(partial(_has_logged, engine, number * FLOOD_BYTES))


def _has_logged(engine: Lease, size_bytes: int) -> bool:
    return engine.status().stderr_bytes > size_bytes
