from __future__ import annotations

import fcntl
import os
from dataclasses import replace

import pytest

from safe_llm.cli.standstill import Look, capacity_bytes, stands_still, unread_bytes

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


def test_what_waits_in_a_pipe_is_counted_and_not_taken() -> None:
    reader, writer = os.pipe()
    try:
        os.write(writer, b"twelve bytes")
        assert (unread_bytes(reader), unread_bytes(reader)) == (12, 12)
        assert os.read(reader, 100) == b"twelve bytes"
    finally:
        os.close(reader)
        os.close(writer)


def test_the_capacity_of_a_pipe_is_the_kernels_figure() -> None:
    reader, writer = os.pipe()
    try:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        assert capacity_bytes(reader) == 4096
    finally:
        os.close(reader)
        os.close(writer)
