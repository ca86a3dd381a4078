"""Each of the five layers catches its fault on an engine with all the others off.

The faults are real: a stopped process, a generation that never ends, a flood of log lines, a
logger that is blocked on a full pipe. With all layers on, the first one that can see it does.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from safe_llm.errors import CallTimeout, EngineDied, NotReady
from safe_llm.events import Event, LayerTripped
from safe_llm.limits import NO_LIMITS, Limits
from safe_llm.observers.dispatcher import dispatcher
from tests.disturbances import (
    FLOOD,
    FLOOD_BYTES,
    FREEZE_LOG,
    HANG,
    disturb,
    disturb_its_log,
)
from tests.engine_kinds import becomes_idle
from tests.llama_engine import (
    BOUND,
    ENDLESS,
    HELLO,
    PATIENT,
    comes_true,
    leased,
    pause,
    paused,
    pid_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from safe_llm.engines.lease import Lease
    from tests.engine_kinds import Kind
    from tests.faults.conftest import Figure

SOON = 0.3  # seconds: a limit that is reached at once
FIRST = Limits(
    call=20.0, start=20.0, total=8.0, first_token=2.0, gap=SOON, release=4 * BOUND,
    alive_interval=6.0, progress=4.0, job=15.0, flood_bytes=50_000_000,
)  # fmt: skip


def _timeout(engine: Lease, limits: Limits, body: dict[str, object] | None = None) -> CallTimeout:
    with pytest.raises(CallTimeout) as caught:
        engine.complete(body or HELLO, limits)
    return caught.value


def _complete_often(engine: Lease, limits: Limits) -> None:
    for _ in range(20):
        engine.complete({**HELLO, "n_predict": 100}, limits)


def _layers(events: list[Event]) -> list[str]:
    assert dispatcher().flush(BOUND)
    return [one.layer for one in events if isinstance(one, LayerTripped)]


@pytest.mark.parametrize("limit", ["call", "total"])
def test_l1_ends_a_call_that_is_slow_as_a_whole_and_nothing_else(
    limit: str, kind: Kind, model: Path, figure: Figure
) -> None:
    with leased(kind.spec(model)) as engine:
        engine.start(PATIENT)
        pid = pid_of(engine)
        with figure(f"L1 {limit} of {SOON} s"):
            error = _timeout(engine, NO_LIMITS.with_changes(**{limit: SOON}), ENDLESS)
        assert (error.layer, error.limit) == (f"L1 {limit}", SOON)
        assert becomes_idle(engine)
        assert engine.complete(HELLO, PATIENT).usage is not None
        assert pid_of(engine) == pid


def test_l1_ends_a_call_that_waits_too_long_for_its_first_token(
    kind: Kind, model: Path, figure: Figure
) -> None:
    limits = PATIENT.with_changes(first_token=SOON)
    with leased(kind.spec(model)) as engine:
        engine.start(PATIENT)
        pid = pid_of(engine)
        with paused(pid), figure("L1 first_token"):
            error = _timeout(engine, limits)
        assert error.layer == "L1 first_token"
        assert "is stopped by a signal" in error.diagnosis
        assert becomes_idle(engine)
        assert pid_of(engine) == pid


def test_l1_ends_a_call_whose_tokens_have_stopped(kind: Kind, model: Path, figure: Figure) -> None:
    with leased(kind.spec(model)) as engine:
        stream = iter(engine.stream(ENDLESS, PATIENT.with_changes(gap=SOON)))
        next(stream)
        with paused(pid_of(engine)), figure("L1 gap"), pytest.raises(CallTimeout) as caught:
            list(stream)
        assert caught.value.layer == "L1 gap"
        assert becomes_idle(engine)


def test_l1_gives_up_an_engine_that_never_becomes_ready(
    kind: Kind, model: Path, tmp_path: Path, figure: Figure
) -> None:
    limits = NO_LIMITS.with_changes(start=SOON)
    spec = kind.disturbed(model, tmp_path, HANG)
    silent = pytest.raises(NotReady, match="it runs and does not answer")
    with leased(spec, limits) as engine, figure("L1 start"), silent:
        engine.start(limits)


@pytest.mark.row(22)
def test_l1_replaces_an_engine_that_does_not_give_the_work_of_an_ended_call_back(
    kind: Kind, model: Path, figure: Figure
) -> None:
    events: list[Event] = []
    limits = PATIENT.with_changes(release=0.5)
    with leased(kind.spec(model), limits, observers=(events.append,)) as engine:
        stream = engine.stream(ENDLESS, limits)
        next(stream)
        pid = pid_of(engine)
        pause(pid)
        with figure("L1 release of 0.5 s, and a new engine"):
            stream.close()
            assert comes_true(lambda: engine.status().restarts == 1)
            engine.complete(HELLO, PATIENT)
        assert pid_of(engine) != pid
        assert _layers(events) == ["L1 release"]


@pytest.mark.row(22)
def test_l2_replaces_an_idle_engine_that_does_not_answer(
    kind: Kind, model: Path, figure: Figure
) -> None:
    events: list[Event] = []
    limits = PATIENT.with_changes(alive_interval=0.2, alive_timeout=0.2, alive_misses=2)
    with leased(kind.spec(model), limits, observers=(events.append,)) as engine:
        engine.start(limits)
        pid = pid_of(engine)
        with figure("L2, two misses at 0.2 s, and a new engine"):
            pause(pid)
            assert comes_true(lambda: engine.status().restarts == 1)
            engine.complete(HELLO, PATIENT)
        assert pid_of(engine) != pid
        assert _layers(events) == ["L2 alive"]


@pytest.mark.row(22)
def test_l3_replaces_an_engine_that_is_silent_in_a_call(
    kind: Kind, model: Path, figure: Figure
) -> None:
    limits = NO_LIMITS.with_changes(progress=0.5)
    with leased(kind.spec(model), limits) as engine:
        engine.start(PATIENT)
        pid = pid_of(engine)
        pause(pid)
        with figure("L3 of 0.5 s"):
            error = _timeout(engine, limits)
        assert error.layer == "L3 progress"
        assert "is stopped by a signal" in error.diagnosis
        engine.complete(HELLO, PATIENT)
        assert pid_of(engine) != pid


def test_l4_stops_an_engine_that_generates_without_end(
    kind: Kind, model: Path, figure: Figure
) -> None:
    events: list[Event] = []
    with leased(kind.spec(model), observers=(events.append,)) as engine:
        engine.start(PATIENT)
        pid = pid_of(engine)
        with figure("L4 of 0.3 s"):
            error = _timeout(engine, NO_LIMITS.with_changes(job=SOON), ENDLESS)
        assert error.layer == "L4 job"
        engine.complete(HELLO, PATIENT)
        assert pid_of(engine) != pid
        assert _layers(events) == ["L4 job"]


def test_l5_kills_an_engine_that_floods_its_log(
    kind: Kind, model: Path, tmp_path: Path, figure: Figure
) -> None:
    events: list[Event] = []
    limits = PATIENT.with_changes(flood_bytes=FLOOD_BYTES // 2, flood_action="kill")
    spec = kind.disturbed(model, tmp_path, FLOOD)
    with leased(spec, limits, observers=(events.append,)) as engine:
        stream = iter(engine.stream(ENDLESS, limits))
        next(stream)
        disturb(engine)
        with figure(f"L5 at {limits.flood_bytes} B"), pytest.raises(EngineDied) as caught:
            list(stream)
        assert "L5 flood" in caught.value.reason
        allowed = f"bytes of stderr within 60 s, allowed are {limits.flood_bytes}"
        assert allowed in caught.value.reason
        assert "L5 flood" in _layers(events)


def test_l5_leaves_an_engine_alive_that_was_asked_to_be_talkative(
    kind: Kind, model: Path, tmp_path: Path
) -> None:
    events: list[Event] = []
    limits = Limits(flood_bytes=FLOOD_BYTES)
    spec = kind.disturbed(model, tmp_path, FLOOD)
    with leased(spec, limits, observers=(events.append,)) as engine:
        engine.start(limits)
        pid = pid_of(engine)
        disturb(engine)
        assert comes_true(lambda: engine.status().stderr_bytes > FLOOD_BYTES)
        assert engine.complete(HELLO, limits).usage is not None
        assert pid_of(engine) == pid
        assert "L5 flood" in _layers(events)


@pytest.mark.parametrize("layer", ["L1 total", "L2 alive", "L3 progress"])
def test_a_frozen_log_is_caught_by_each_layer_that_can_see_it(
    layer: str, kind: Kind, model: Path, tmp_path: Path, figure: Figure
) -> None:
    limits = {
        "L1 total": NO_LIMITS.with_changes(total=0.6),
        "L2 alive": NO_LIMITS.with_changes(
            alive_interval=0.3, alive_timeout=0.3, alive_misses=2, call=BOUND
        ),
        "L3 progress": NO_LIMITS.with_changes(progress=0.6),
    }[layer].with_changes(release=4 * BOUND)
    with leased(kind.disturbed(model, tmp_path, FREEZE_LOG), limits) as engine:
        engine.start(PATIENT)
        disturb_its_log(engine)
        with figure(f"a frozen log, {layer}"), pytest.raises(CallTimeout) as caught:
            _complete_often(engine, limits)
        assert caught.value.layer == layer
        assert "is blocked in a write to descriptor 2, a full pipe" in caught.value.diagnosis


@pytest.mark.parametrize(
    ("body", "stop", "layer"),
    [(ENDLESS, True, "L1 gap"), (ENDLESS, False, "L1 total")],
    ids=["a process that is stopped", "a generation that does not end"],
)
def test_with_all_layers_on_the_first_one_catches_it(
    body: dict[str, object], layer: str, kind: Kind, model: Path, *, stop: bool, figure: Figure
) -> None:
    events: list[Event] = []
    limits = FIRST if stop else FIRST.with_changes(total=0.5)
    with leased(kind.spec(model), limits, observers=(events.append,)) as engine:
        stream = iter(engine.stream(body, limits))
        next(stream)
        pid = pid_of(engine)
        if stop:
            pause(pid)
        with figure(f"all layers on: {layer}"), pytest.raises(CallTimeout) as caught:
            list(stream)
        assert caught.value.layer == layer
        os.kill(pid, signal.SIGCONT)
        assert becomes_idle(engine)
        assert pid_of(engine) == pid
        assert _layers(events) == []
