"""The flood gauge trips above its limit within a window, and forgets what is older."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safe_llm.process.flood import FloodGauge


def test_more_than_the_limit_within_the_window_is_a_flood() -> None:
    gauge = FloodGauge(100, window=10.0)
    assert not gauge.add(60, 1.0)
    assert not gauge.add(40, 6.0)
    assert gauge.add(1, 6.0)
    assert gauge.recent_bytes == 101


def test_what_is_older_than_a_window_is_forgotten() -> None:
    gauge = FloodGauge(100, window=10.0)
    gauge.add(100, 1.0)
    assert not gauge.add(100, 100.0)


@pytest.mark.parametrize("pause", [15.0, 20.0, 60.0])
def test_a_child_that_logs_its_limit_now_and_then_is_left_alone(pause: float) -> None:
    gauge = FloodGauge(100, window=10.0)
    assert not any(gauge.add(100, step * pause) for step in range(50))


@given(
    st.lists(st.tuples(st.floats(0.0, 30.0), st.integers(1, 60)), min_size=1, max_size=60),
)
@example([(0.0, 4), (7.0, 37), (4.0, 60)])
def test_nobody_is_accused_who_wrote_less_than_the_limit_in_each_window(
    writes: list[tuple[float, int]],
) -> None:
    gauge, now, history = FloodGauge(100, window=10.0), 0.0, list[tuple[float, int]]()
    for pause, count in writes:
        now += pause
        history.append((now, count))
        if gauge.add(count, now):
            assert sum(size for at, size in history if at >= now - 10.0) > 100
            return
