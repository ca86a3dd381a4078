from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_llm.supervise.restart import RestartPolicy

POLICY = RestartPolicy(max_restarts=3, window=60.0, backoff=0.1, factor=2.0, longest_backoff=0.3)
seconds = st.floats(0.0, 1e6, allow_nan=False)
policies = st.builds(
    RestartPolicy,
    max_restarts=st.integers(0, 50),
    window=st.floats(0.1, 1e4),
    backoff=st.floats(0.0, 10.0),
    factor=st.floats(1.0, 10.0),
    longest_backoff=st.floats(0.0, 100.0),
)


@pytest.mark.parametrize(
    ("crashes", "now", "expected"),
    [
        ([0.0], 0.0, 0.1),
        ([0.0, 1.0], 1.0, 0.2),
        ([0.0, 1.0, 2.0], 2.0, 0.3),
        ([0.0, 1.0, 2.0, 3.0], 3.0, None),
        ([0.0, 1.0, 2.0, 3.0], 60.5, 0.3),
        ([0.0, 61.0], 61.0, 0.1),
    ],
)
def test_the_pause_doubles_up_to_a_bound_and_the_window_slides(
    crashes: list[float], now: float, expected: float | None
) -> None:
    found = POLICY.delay(crashes, now)
    assert found == (expected if expected is None else pytest.approx(expected))


def test_the_default_gives_up_after_three_restarts_in_a_minute() -> None:
    policy = RestartPolicy()
    assert [policy.delay([0.0] * count, 59.0) is None for count in range(1, 6)] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_no_restarts_means_none_at_all() -> None:
    assert RestartPolicy(max_restarts=0).delay([5.0], 5.0) is None


@given(policies, st.lists(seconds, max_size=100), seconds)
def test_the_pause_is_bounded_and_is_refused_only_beyond_the_limit(
    policy: RestartPolicy, crashes: list[float], now: float
) -> None:
    delay = policy.delay(crashes, now)
    if delay is None:
        assert policy.recent(crashes, now) > policy.max_restarts
    else:
        assert 0.0 <= delay <= policy.longest_backoff
        assert policy.recent(crashes, now) <= policy.max_restarts


@given(policies, st.lists(st.floats(0.0, 1e4), min_size=1, max_size=60))
def test_whoever_obeys_never_starts_more_often_than_allowed_in_any_window(
    policy: RestartPolicy, gaps: list[float]
) -> None:
    now, crashes, restarts = 0.0, list[float](), list[float]()
    for gap in gaps:
        now += gap
        crashes.append(now)
        if policy.delay(crashes, now) is not None:
            restarts.append(now)
    for at in restarts:
        assert sum(1 for one in restarts if 0 <= at - one < policy.window) <= policy.max_restarts


@given(policies, st.integers(1, 40))
def test_the_pause_never_shrinks_while_it_goes_on_crashing(
    policy: RestartPolicy, count: int
) -> None:
    pauses = [policy.delay([0.0] * crashes, 0.0) for crashes in range(1, count + 1)]
    known = [one for one in pauses if one is not None]
    assert known == sorted(known)
