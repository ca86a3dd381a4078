"""The run clock counts only time in which this process ran, and says what it did not count."""

from __future__ import annotations

import pytest

from safe_llm.process.clock import PERIOD, RunClock


class Time:
    """Monotonic time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def clock(time: Time) -> RunClock:
    return RunClock(read=time)


def test_time_passes_between_ticks(clock: RunClock, time: Time) -> None:
    for _ in range(8):
        time.now += PERIOD
        assert clock.tick() == 0.0
    time.now += PERIOD / 2
    assert clock.now() == pytest.approx(8.5 * PERIOD)
    assert clock.longest_gap == 0.0


def test_a_gap_is_not_counted_but_reported(clock: RunClock, time: Time) -> None:
    time.now += 3600.0
    assert clock.tick() == pytest.approx(3600.0 - 2 * PERIOD)
    assert clock.now() == pytest.approx(2 * PERIOD)
    assert clock.longest_gap == pytest.approx(3600.0)
    assert clock.lost == pytest.approx(3600.0 - 2 * PERIOD)


def test_now_stands_still_during_a_gap_that_nobody_has_noticed_yet(
    clock: RunClock, time: Time
) -> None:
    time.now += 86_400.0
    assert clock.now() == pytest.approx(2 * PERIOD)
    assert clock.age == pytest.approx(86_400.0)


def test_one_late_tick_is_a_busy_machine(clock: RunClock, time: Time) -> None:
    time.now += 1.9 * PERIOD
    assert clock.tick() == 0.0
    assert clock.now() == pytest.approx(1.9 * PERIOD)


def test_a_wait_that_was_meant_to_be_long_is_no_gap(clock: RunClock, time: Time) -> None:
    time.now += 3600.0
    clock.resume()
    assert clock.tick() == 0.0
    assert (clock.longest_gap, clock.lost) == (0.0, 0.0)


def test_a_clock_never_goes_back(clock: RunClock, time: Time) -> None:
    time.now += PERIOD
    clock.tick()
    before = clock.now()
    time.now -= 86_400.0  # no monotonic clock does that; a broken one must not take us along
    assert clock.now() >= before
    clock.tick()
    assert clock.now() >= before
