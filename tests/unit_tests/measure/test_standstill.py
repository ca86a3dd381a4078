from __future__ import annotations

from dataclasses import replace

import pytest

from safe_llm.measure.standstill import Look, stands_still

FIRST = Look(
    at=0.0, unread_bytes=65_000, answered=3, cpu_seconds=7.0, is_blocked=True, words="blocked"
)


def test_a_blocked_process_that_does_nothing_for_a_second_stands_still() -> None:
    assert not stands_still([FIRST, replace(FIRST, at=0.9)])
    assert stands_still([FIRST, replace(FIRST, at=1.1)])


@pytest.mark.parametrize(
    "moved",
    [
        replace(FIRST, at=9.0, answered=4),  # other threads go on for a while
        replace(FIRST, at=9.0, unread_bytes=65_001),
        replace(FIRST, at=9.0, cpu_seconds=7.2),  # it computes the next answer
        replace(FIRST, at=9.0, is_blocked=False),  # a slow disk, a debugger
        replace(FIRST, at=9.0, unread_bytes=0),
    ],
)
def test_a_process_that_is_merely_slow_does_not_stand_still(moved: Look) -> None:
    assert not stands_still([FIRST, moved])


def test_where_nothing_can_be_seen_of_its_threads_more_patience_is_needed() -> None:
    unseen = replace(FIRST, is_blocked=None, cpu_seconds=None)
    assert not stands_still([unseen, replace(unseen, at=4.0)])
    assert stands_still([unseen, replace(unseen, at=5.5)])


def test_one_look_proves_nothing() -> None:
    assert not stands_still([FIRST])
