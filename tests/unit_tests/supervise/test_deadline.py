from __future__ import annotations

import pytest

from safe_llm.limits import NO_LIMITS, Limits
from safe_llm.supervise.deadline import CallClock, Overdue

LIMITS = NO_LIMITS.with_changes(
    call=100.0, start=10.0, total=50.0, first_token=5.0, gap=2.0, job=60.0
)


def _clock(
    limits: Limits = LIMITS, *, ready: float | None = None, heard: tuple[float, ...] = ()
) -> CallClock:
    clock = CallClock(limits, 0.0)
    if ready is not None:
        clock.is_ready(ready)
    for at in heard:
        clock.heard(at)
    return clock


@pytest.mark.parametrize(
    ("clock", "now", "expected"),
    [
        (_clock(), 10.0, None),
        (_clock(), 10.5, Overdue("L1 start", 10.0, 10.5)),
        (_clock(ready=9.0), 14.0, None),
        (_clock(ready=9.0), 14.5, Overdue("L1 first_token", 5.0, 5.5)),
        (_clock(ready=0.0, heard=(4.0,)), 6.0, None),
        (_clock(ready=0.0, heard=(4.0,)), 6.5, Overdue("L1 gap", 2.0, 2.5)),
        (_clock(ready=0.0, heard=(4.0, 6.0)), 8.0, None),
        (_clock(ready=0.0, heard=(4.0, 6.0)), 8.5, Overdue("L1 gap", 2.0, 2.5)),
        (_clock(ready=0.0, heard=(49.9,)), 50.5, Overdue("L1 total", 50.0, 50.5)),
        (_clock(ready=70.0), 100.5, Overdue("L1 call", 100.0, 100.5)),
    ],
)
def test_the_first_limit_that_is_exceeded_is_named_with_its_figures(
    clock: CallClock, now: float, expected: Overdue | None
) -> None:
    assert clock.overdue(now) == expected


def test_writing_a_request_that_nobody_reads_counts_towards_the_first_token() -> None:
    # Nothing tells the clock that the request was written: there is nothing to wait for.
    assert _clock(ready=1.0).overdue(7.0) == Overdue("L1 first_token", 5.0, 6.0)


def test_the_whole_call_is_measured_from_its_beginning_and_includes_the_start() -> None:
    clock = _clock(NO_LIMITS.with_changes(call=10.0), ready=9.0)
    assert clock.overdue(10.5) == Overdue("L1 call", 10.0, 10.5)


def test_loading_a_model_does_not_count_towards_the_work() -> None:
    clock = _clock(NO_LIMITS.with_changes(total=10.0, first_token=10.0, job=10.0), ready=500.0)
    assert clock.overdue(509.0) is None


def test_l4_is_reached_where_l1_is_off() -> None:
    clock = _clock(LIMITS.with_changes(total=None), ready=0.0, heard=(60.0,))
    assert clock.overdue(61.0) == Overdue("L4 job", 60.0, 61.0)


def test_a_call_ends_before_its_process_does_where_both_limits_are_alike() -> None:
    clock = _clock(NO_LIMITS.with_changes(total=10.0, job=10.0), ready=0.0)
    found = clock.overdue(11.0)
    assert found is not None
    assert found.layer == "L1 total"


def test_without_limits_nothing_is_ever_overdue() -> None:
    assert _clock(NO_LIMITS).overdue(1e9) is None
    assert _clock(NO_LIMITS, ready=0.0).overdue(1e9) is None
    assert _clock(NO_LIMITS, ready=0.0, heard=(1.0,)).overdue(1e9) is None


def test_a_clock_that_does_not_move_expires_nothing() -> None:
    clock = _clock(NO_LIMITS.with_changes(call=0.0, total=0.0, gap=0.0), ready=0.0, heard=(0.0,))
    assert clock.overdue(0.0) is None
