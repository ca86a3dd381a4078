"""L2 and L3 as tables of evidence: time, activity, processor seconds, a call that waits or none."""

from __future__ import annotations

import pytest

from safe_llm.limits import NO_LIMITS
from safe_llm.supervise.watchdog import Evidence, Suspicion, Watchdog

LIMITS = NO_LIMITS.with_changes(alive_interval=30.0, alive_timeout=5.0, alive_misses=3)
PATIENCE = 10.0


def _seen(
    at: float, activity: int = 0, cpu: float | None = 0.0, since: float | None = None
) -> Evidence:
    return Evidence(
        at=at, activity=activity, cpu_seconds=cpu, waiting_since=since, patience=PATIENCE
    )


def _l3(*evidence: Evidence) -> list[bool]:
    watchdog = Watchdog(LIMITS, 0.0)
    return [watchdog.observe(one) is not None for one in evidence]


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ([_seen(100.0)], [False]),
        ([_seen(5.0, since=0.0), _seen(11.0, since=0.0)], [False, True]),
        ([_seen(100.0, since=95.0), _seen(106.0, since=95.0)], [False, True]),
        ([_seen(9.0, 1, since=0.0), _seen(18.0, 1, since=0.0)], [False, False]),
        ([_seen(9.0, 1, since=0.0), _seen(19.5, 1, since=0.0)], [False, True]),
        ([_seen(5.0, since=0.0), _seen(14.0, 0, 1.0, since=0.0)], [False, False]),
        ([_seen(5.0, cpu=None, since=0.0), _seen(11.0, cpu=None, since=0.0)], [False, True]),
    ],
    ids=[
        "silence without a call is nobody's business",
        "silence in a call",
        "silence counts from the beginning of the call",
        "a byte is progress",
        "a byte is progress once",
        "processor time is progress",
        "without /proc only bytes and tokens count",
    ],
)
def test_l3_sees_silence_in_a_call(evidence: list[Evidence], expected: list[bool]) -> None:
    assert _l3(*evidence) == expected


def test_l3_is_off_where_the_calls_in_flight_are_patient_for_ever() -> None:
    evidence = Evidence(at=1e9, activity=0, cpu_seconds=0.0, waiting_since=0.0, patience=None)
    assert Watchdog(LIMITS, 0.0).observe(evidence) is None


def test_l3_tells_its_limit_and_how_long_it_was_silent() -> None:
    found = Watchdog(LIMITS, 0.0).observe(_seen(12.0, since=1.0))
    assert found == Suspicion(
        "L3 progress", PATIENCE, 11.0, "no byte, token or CPU tick with a call in flight"
    )


def test_work_that_is_slower_than_the_noise_of_each_look_adds_up() -> None:
    watchdog = Watchdog(LIMITS, 0.0)
    slow = [_seen(float(at), cpu=at * 0.004, since=0.0) for at in range(60)]
    assert not any(watchdog.observe(one) for one in slow)


def test_timer_noise_of_a_stuck_process_is_not_work() -> None:
    watchdog = Watchdog(LIMITS, 0.0)
    stuck = [_seen(float(at), cpu=0.0 if at < 5 else 0.01, since=0.0) for at in range(15)]
    assert [one.at for one in stuck if watchdog.observe(one)] == [11.0, 12.0, 13.0, 14.0]


def _l2(*probes: tuple[bool, Evidence]) -> list[bool]:
    watchdog = Watchdog(LIMITS, 0.0)
    return [watchdog.probed(answered=yes, evidence=one) is not None for yes, one in probes]


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ([(True, _seen(1.0))] * 5, [False] * 5),
        ([(False, _seen(1.0))] * 3, [False, False, True]),
        ([(False, _seen(1.0))] * 2 + [(True, _seen(2.0)), (False, _seen(3.0))], [False] * 4),
        ([(False, _seen(at, int(at))) for at in (1.0, 2.0, 3.0, 4.0)], [False] * 4),
        ([(False, _seen(at, cpu=at)) for at in (1.0, 2.0, 3.0, 4.0)], [False] * 4),
        ([(False, _seen(at, cpu=None)) for at in (1.0, 2.0, 3.0)], [False, False, True]),
    ],
    ids=[
        "every probe is answered",
        "three misses in a row by an idle process",
        "an answer in between",
        "late, but it writes",
        "late, but it works",
        "without /proc",
    ],
)
def test_l2_sees_an_idle_process_that_does_not_answer(
    probes: list[tuple[bool, Evidence]], expected: list[bool]
) -> None:
    assert _l2(*probes) == expected
