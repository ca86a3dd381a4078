"""A stream keeps what its consumer can take, drops and counts the rest, and outlives every sink."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_llm.process.output import Output, Overflow

KiB = 1024


def output(**options: object) -> Output:
    return Output("stdout", "child", **options)  # type: ignore[arg-type]  # one helper for all fields


def test_bytes_come_out_as_they_went_in() -> None:
    one = output()
    for chunk in (b"one ", b"two ", b"three"):
        one.receive(chunk, at=1.0)
    assert one.take_nowait() == b"one two three"
    assert one.take_nowait() == b""


@given(st.lists(st.one_of(st.binary(max_size=9), st.binary(min_size=2000, max_size=5000))))
def test_however_the_bytes_are_cut_they_come_out_the_same(chunks: list[bytes]) -> None:
    one = output()
    taken = b""
    for number, chunk in enumerate(chunks):
        one.receive(chunk, at=0.0)
        if number % 7 == 3:
            taken += one.take_nowait()
    assert taken + one.take_nowait() == b"".join(chunks)
    assert one._waiting_cost == 0


def test_a_full_ring_of_a_log_keeps_the_newest_and_counts_the_rest() -> None:
    one = output(capacity_bytes=100 * KiB)
    for number in range(100):
        one.receive(b"%02d" % number * 5 * KiB, at=0.0)
    statistics = one.statistics()
    kept = one.take_nowait()
    assert kept.endswith(b"99" * 5 * KiB)
    assert len(kept) <= 100 * KiB
    assert statistics.dropped_bytes + len(kept) == statistics.received_bytes == 1000 * KiB
    assert statistics.waiting_bytes == len(kept)


def test_a_full_ring_of_a_protocol_keeps_nothing_more_and_says_so() -> None:
    one = output(capacity_bytes=10 * KiB, overflow=Overflow.FAIL)
    for _ in range(10):
        one.receive(b"x" * 4 * KiB, at=0.0)
    assert one.overflowed
    assert one.take_nowait() == b""  # half a message is worse than none
    assert one.statistics().dropped_bytes == 40 * KiB


def test_byte_by_byte_the_ring_still_holds_nearly_its_capacity() -> None:
    one = output(capacity_bytes=100 * KiB)
    for _ in range(90 * KiB):
        one.receive(b".", at=0.0)
    assert one.dropped_bytes == 0
    assert len(one.take_nowait()) == 90 * KiB


def test_the_tail_has_the_last_words_taken_or_not() -> None:
    one = output(tail_bytes=10)
    one.receive(b"a long story", at=0.0)
    one.take_nowait()
    one.receive(b" ends", at=0.0)
    assert one.tail() == b"story ends"


def test_a_sink_that_raises_is_detached_and_told_and_the_drain_goes_on() -> None:
    seen: list[bytes] = []

    def sink(chunk: bytes) -> None:
        seen.append(chunk)
        raise OSError(28, "No space left on device")

    one = output()
    one.tap = sink
    for _ in range(3):
        one.receive(b"x", at=0.0)
    assert seen == [b"x"]
    assert "No space left on device" in one.statistics().failure
    assert one.take_nowait() == b"xxx"


def test_a_sink_gets_every_chunk_as_it_came() -> None:
    seen: list[bytes] = []
    one = output()
    one.tap = seen.append
    one.receive(b"a", at=0.0)
    one.receive(b"b", at=0.0)
    assert seen == [b"a", b"b"]


def test_the_end_wakes_who_waits_and_is_not_the_end_of_what_is_kept() -> None:
    one = output()
    one.receive(b"last", at=0.0)
    one.end("it broke")
    assert one.changed.is_set
    assert one.ended
    assert not one.exhausted
    assert one.take_nowait() == b"last"
    assert one.exhausted
    assert one.statistics().failure == "it broke"


@pytest.mark.parametrize("size", [1, 100, 3000])
def test_a_consumer_on_another_thread_loses_nothing_and_gets_it_in_order(size: int) -> None:
    one = output(capacity_bytes=64 * KiB * KiB)
    taken: list[bytes] = []

    def consume() -> None:
        while not one.exhausted:
            taken.append(one.take_nowait())

    consumer = threading.Thread(target=consume, daemon=True)
    consumer.start()
    chunks = [(b"%d," % number).ljust(size, b".") for number in range(1000)]
    for chunk in chunks:
        one.receive(chunk, at=0.0)
    one.end()
    consumer.join(10.0)
    assert b"".join(taken) == b"".join(chunks)


def test_lines_are_counted_on_demand_only_and_also_when_nobody_takes_them() -> None:
    output = Output("stderr", "child", capacity_bytes=100)
    output.receive(b"one\ntwo\n", 0.0)
    assert output.statistics().received_lines is None
    output.count_lines()
    output.receive(b"three\nfour\nfi", 0.0)
    output.receive(b"ve\n" + b"x" * 200, 0.0)
    assert output.statistics().received_lines == 3
    assert output.dropped_bytes > 0
