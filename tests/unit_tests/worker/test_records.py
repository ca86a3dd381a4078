from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_llm.worker.records import (
    BYE,
    MAX_LINE_BYTES,
    Ledger,
    Record,
    forget_line,
    record_line,
)

ONE = Record(sid=11, pid=11, start_ticks=4711, value="child-1")
TWO = Record(sid=12, pid=12, start_ticks=4712, value="child-2")
ALL_IS_SAID = record_line(ONE) + record_line(TWO) + forget_line("child-1") + BYE


def test_what_was_recorded_is_known_until_it_is_forgotten() -> None:
    ledger = Ledger()
    ledger.feed(record_line(ONE) + record_line(TWO))
    assert ledger.records == {ONE, TWO}
    ledger.feed(forget_line("child-1"))
    assert ledger.records == {TWO}
    assert not ledger.said_bye


@given(st.lists(st.integers(0, len(ALL_IS_SAID)), max_size=8))
def test_any_cut_of_the_bytes_says_the_same(cuts: list[int]) -> None:
    ledger = Ledger()
    edges = [0, *sorted(cuts), len(ALL_IS_SAID)]
    for begin, end in itertools.pairwise(edges):
        ledger.feed(ALL_IS_SAID[begin:end])
    assert ledger.records == {TWO}
    assert ledger.said_bye


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"+",
        b"+1 2 3",
        b"+1 2 3 ",
        b"+1 2 3 4 5",
        b"+one 2 3 value",
        b"+-1 2 3 value",
        "+\u00b2 2 3 value".encode(),
        b"-",
        b"-unknown",
        b"bye ",
        b"\xff\xfe\x00",
    ],
)
def test_garbage_is_ignored(garbage: bytes) -> None:
    ledger = Ledger()
    ledger.feed(record_line(ONE) + garbage + b"\n" + record_line(TWO))
    assert ledger.records == {ONE, TWO}
    assert not ledger.said_bye


@given(st.integers(1, 3 * MAX_LINE_BYTES))
def test_an_endless_line_takes_bounded_memory_and_hides_nothing_behind_it(cut: int) -> None:
    ledger = Ledger()
    endless = b"+" + b"1" * (5 * MAX_LINE_BYTES)
    for begin in range(0, len(endless), cut):
        ledger.feed(endless[begin : begin + cut])
        assert len(ledger._pending) <= MAX_LINE_BYTES
    ledger.feed(b" 1 1 value\n" + record_line(ONE))
    assert ledger.records == {ONE}
