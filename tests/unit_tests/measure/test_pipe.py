from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from safe_llm.measure.pipe import Fill, capacity_bytes, fill, nominal_bytes, unread_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def held(size: int) -> int:
    """What an unread pipe holds of writes of one size, found without anything of ours."""
    with pipe() as (reader, writer):
        os.set_blocking(writer, False)
        while True:
            try:
                os.write(writer, bytes(size))
            except BlockingIOError:
                return unread_bytes(reader)


def test_what_waits_in_a_pipe_is_counted_and_not_taken() -> None:
    with pipe() as (reader, writer):
        os.write(writer, b"twelve bytes")
        assert (unread_bytes(reader), unread_bytes(reader)) == (12, 12)
        assert os.read(reader, 100) == b"twelve bytes"


def test_the_capacity_of_a_pipe_is_the_kernels_figure() -> None:
    with pipe() as (reader, writer):
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        assert capacity_bytes(reader) == 4096
        assert nominal_bytes() != 4096


@pytest.mark.parametrize("size", [13, 100, 1_366, 2_049])
def test_the_size_of_the_writes_decides_how_much_a_pipe_takes(size: int) -> None:
    full = fill([], [[size]])
    assert full == Fill(held(size), held(size) // size)


def test_writes_that_do_not_fit_into_pages_fill_half_of_what_the_kernel_names() -> None:
    full = fill([], [[2_049]])
    nominal = nominal_bytes()
    assert full is not None
    assert nominal is not None
    assert full.capacity_bytes < 0.6 * nominal


def test_a_log_that_overfills_the_pipe_before_the_first_request_leaves_room_for_none() -> None:
    full = fill([100] * 10_000, [[100]])
    assert full == Fill(held(100), 0)


def test_only_requests_whose_whole_log_fits_are_counted() -> None:
    full = fill([], [[100] * (held(100) // 100 + 1)])
    assert full is not None
    assert full.requests == 0


def test_what_the_first_requests_write_is_not_repeated() -> None:
    full = fill([], [[10_000], [100]])
    assert full is not None
    assert full.requests > (held(100) - 12_288) // 100
    assert full.requests < held(100) // 100


@pytest.mark.parametrize(
    ("start", "requests"),
    [([], [[]]), ([500], [[], []]), ([500], [[300], [], []])],
    ids=["nothing", "only a start", "only a first request"],
)
def test_a_pipe_into_which_requests_write_nothing_is_never_full(
    start: list[int], requests: list[list[int]]
) -> None:
    assert fill(start, requests) is None
