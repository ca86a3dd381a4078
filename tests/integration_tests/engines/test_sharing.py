"""Who shares which engine, how long it lives, and who is stopped for whom."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from safe_llm.engines.lease import Lease, lease
from safe_llm.engines.settings import EngineSettings
from safe_llm.errors import EngineDied, MisuseError
from safe_llm.events import Event, Progressed
from safe_llm.observers.dispatcher import dispatcher
from tests.llama_engine import (
    BOUND,
    ENDLESS,
    HELLO,
    PATIENT,
    comes_true,
    leased,
    paused,
    pid_of,
    tiny_spec,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safe_llm.engines.spec import EngineSpec
    from tests.engine_kinds import Kind

SETTINGS = EngineSettings(limits=PATIENT)


def test_a_lease_starts_nothing_before_its_first_call(kind: Kind, model: Path) -> None:
    with leased(kind.spec(model)) as engine:
        assert (engine.status().state, engine.status().pid) == ("idle", None)


def test_equal_specifications_share_one_engine_and_the_last_lease_stops_it(
    kind: Kind, model: Path
) -> None:
    first, second = (lease(kind.spec(model), SETTINGS) for _ in range(2))
    first.start(PATIENT)
    assert second.status().pid == pid_of(first)
    assert second.status().leases == 2
    first.close()
    assert second.complete(HELLO, PATIENT).finish_reason == "length"
    second.close()
    assert (second.status().state, second.status().pid, second.status().leases) == ("idle", None, 0)


def test_other_parameters_are_another_engine(kind: Kind, model: Path) -> None:
    with leased(kind.spec(model)) as one, lease(kind.spec(model, n_ctx=512), SETTINGS) as other:
        one.start(PATIENT)
        other.start(PATIENT)
        assert pid_of(one) != pid_of(other)


def test_a_lease_that_was_closed_is_of_no_use_and_closing_it_twice_harms_nobody(
    kind: Kind, model: Path
) -> None:
    with leased(kind.spec(model)) as other:
        closed = lease(kind.spec(model), SETTINGS)
        closed.close()
        closed.close()
        assert other.status().leases == 1
        with pytest.raises(MisuseError, match="was closed: this object cannot be used any more"):
            closed.complete(HELLO, PATIENT)
        with pytest.raises(MisuseError):
            closed.stream(HELLO, PATIENT)


def test_a_lease_that_many_threads_close_is_given_back_once(kind: Kind, model: Path) -> None:
    with leased(kind.spec(model)) as other:
        for _ in range(20):
            shared = lease(kind.spec(model), SETTINGS)
            threads = [threading.Thread(target=shared.close) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(BOUND)
            assert other.status().leases == 1


def test_a_call_that_a_close_has_overtaken_starts_no_engine_that_nobody_holds(
    kind: Kind, model: Path
) -> None:
    """Threads call while another one closes: each call is answered or refused, none is left."""
    refused: list[BaseException] = []
    for _ in range(5):
        shared = lease(kind.spec(model), SETTINGS)
        shared.start(PATIENT)
        going = threading.Event()

        def call(shared: Lease = shared, going: threading.Event = going) -> None:
            try:
                while True:
                    shared.complete(HELLO, PATIENT)
                    going.set()
            except (MisuseError, EngineDied) as error:
                refused.append(error)

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert going.wait(BOUND)
        shared.close()
        for thread in threads:
            thread.join(BOUND)
        assert shared.status().pid is None
    assert len(refused) == 20


def test_an_engine_that_nobody_used_is_stopped_and_starts_again_at_the_next_call(
    kind: Kind, model: Path
) -> None:
    with leased(kind.spec(model), idle_timeout=0.2) as engine:
        for _ in range(2):
            engine.complete(HELLO, PATIENT)
            assert comes_true(lambda: engine.status().state == "idle")
        assert engine.status().restarts == 0


def test_calls_that_come_while_an_idle_engine_is_being_stopped_are_all_answered(
    kind: Kind, model: Path
) -> None:
    with leased(kind.spec(model), idle_timeout=0.0) as engine:
        for _ in range(8):
            assert engine.complete(HELLO, PATIENT).finish_reason == "length"


@pytest.fixture
def specs(kind: Kind, model: Path) -> list[EngineSpec]:
    return [kind.spec(model, mark=name) for name in ("a", "b", "c")]


@pytest.fixture
def at_most_two(specs: list[EngineSpec]) -> Iterator[list[Lease]]:
    settings = EngineSettings(limits=PATIENT, max_engines=2)
    engines = [lease(spec, settings) for spec in specs]
    yield engines
    for engine in engines:
        engine.close()


def _running(engines: list[Lease]) -> list[bool]:
    return [engine.status().pid is not None for engine in engines]


def test_one_engine_too_many_stops_the_one_that_was_not_used_for_longest(
    at_most_two: list[Lease],
) -> None:
    a, b, c = at_most_two
    for engine in (a, b, a, c):
        engine.complete(HELLO, PATIENT)
    assert _running([a, b, c]) == [True, False, True]
    b.complete(HELLO, PATIENT)
    assert _running([a, b, c]) == [False, True, True]


def test_an_engine_with_a_call_in_flight_is_never_stopped_for_another(
    at_most_two: list[Lease],
) -> None:
    a, b, c = at_most_two
    streams = [engine.stream(ENDLESS, PATIENT) for engine in (a, b)]
    for stream in streams:
        next(stream)
    with paused(pid_of(a)), paused(pid_of(b)):  # they would use up all processors
        c.complete(HELLO, PATIENT)
    assert _running([a, b, c]) == [True, True, True]
    for stream in streams:
        next(stream)
        stream.close()


def test_room_is_made_within_the_limits_of_the_call_that_needs_it(
    specs: list[EngineSpec],
) -> None:
    settings = EngineSettings(limits=PATIENT, max_engines=1)
    with lease(specs[0], settings) as a, lease(specs[1], settings) as b:
        for _ in range(2):
            a.complete(HELLO, PATIENT)
            b.complete(HELLO, PATIENT)
        assert _running([a, b]) == [False, True]


def test_loading_is_told_from_nothing_to_all(kind: Kind, model: Path) -> None:
    seen: list[float | None] = []

    def observe(event: Event) -> None:
        if isinstance(event, Progressed):
            seen.append(event.fraction)

    with leased(kind.spec(model), observers=(observe,)) as engine:
        engine.start(PATIENT)
        assert dispatcher().flush(BOUND)
    assert seen[-1] == 1.0
    assert all(one is None or 0.0 <= one <= 1.0 for one in seen)


def test_a_llama_server_whose_slots_are_not_shown_is_an_engine_all_the_same(model: Path) -> None:
    with leased(tiny_spec(model, "--no-slots")) as engine:
        stream = engine.stream(ENDLESS, PATIENT)
        next(stream)
        stream.close()
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"


def test_tokens_are_counted_on_one_engine_300_times_without_a_lost_connection(
    kind: Kind, model: Path
) -> None:
    with leased(kind.spec(model)) as engine:
        assert all(len(engine.tokenize("hello", PATIENT)) == 5 for _ in range(300))
