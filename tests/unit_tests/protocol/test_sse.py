from __future__ import annotations

import re
import tracemalloc
from itertools import repeat
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safe_llm.errors import ProtocolViolation
from safe_llm.protocol.sse import ServerSentEvent, SseParser
from tests.unit_tests.protocol.cutting import cut, cuttings

if TYPE_CHECKING:
    from collections.abc import Iterable

KIB = 1024
MIB = 1024 * KIB

BOM = b"\xef\xbb\xbf"

# Fragments that mean something, so that random streams hold events and near misses of events.
ENDS = [b"\r", b"\n", b"\r\n", b"\n\n"]
FIELDS = [b"data", b"data:", b"data: x", b"event: e", b"id", b"id: 7", b"id: \x00", b"retry: 5"]
PARTS = [b":", b" ", b"da", b": comment", b"\xc3", b"\xa9", BOM]
fragments = st.sampled_from([*ENDS, *FIELDS, *PARTS])
streams = st.lists(fragments).map(b"".join)


def parse(pieces: Iterable[bytes], max_event_bytes: int = MIB) -> list[ServerSentEvent]:
    parser = SseParser(max_event_bytes)
    return [event for piece in pieces for event in parser.feed(piece)]


def expected_events(stream: bytes) -> list[tuple[str, str, str]]:
    """The standard's own words, on the whole stream as text."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\r|\n", text)[:-1]  # what follows the last terminator is unfinished
    events, data, event, last_id = [], "", "", ""
    for line in lines:
        if line == "":
            if data:
                events.append((event or "message", data.removesuffix("\n"), last_id))
            data, event = "", ""
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data += value + "\n"
        elif name == "event":
            event = value
        elif name == "id" and "\0" not in value:
            last_id = value
    return events


@given(stream=streams, lengths=cuttings)
@example(stream=b"data: 1\r\n\r\ndata: 2\r\n\r\n", lengths=[1])
@example(stream=BOM + b"data: 1\n\n", lengths=[1])
@example(stream=b"data: \xc3\xa9\n\n", lengths=[7, 1])
@example(stream=b"data: \xc3\ndata: \xa9\n\n", lengths=[3])
def test_however_the_bytes_are_cut_the_events_are_those_of_the_standard(
    stream: bytes, lengths: list[int]
) -> None:
    assert parse(cut(stream, lengths)) == expected_events(stream)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        pytest.param(
            b"data: YHOO\ndata: +2\ndata: 10\n\n",
            [("message", "YHOO\n+2\n10", "")],
            id="several data fields are one text of several lines",
        ),
        pytest.param(
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third",
            [("message", "first event", "1"), ("message", "second event", "")],
            id="an id without a value resets it and the unfinished event does not exist",
        ),
        pytest.param(
            b"data\n\ndata\ndata\n\ndata:",
            [("message", "", ""), ("message", "\n", "")],
            id="a field without a colon is empty",
        ),
        pytest.param(
            b"data:test\n\ndata: test\n\ndata:  test\n\n",
            [("message", "test", ""), ("message", "test", ""), ("message", " test", "")],
            id="one space after the colon is not part of the value",
        ),
        pytest.param(
            b"event: add\ndata: 1\n\ndata: 2\n\n",
            [("add", "1", ""), ("message", "2", "")],
            id="a name is of one event only",
        ),
        pytest.param(
            b"event: add\n\ndata: 2\n\n",
            [("message", "2", "")],
            id="an event without data tells nothing and takes its name along",
        ),
        pytest.param(
            b"id: 1\n\ndata: 2\n\ndata: 3\n\n",
            [("message", "2", "1"), ("message", "3", "1")],
            id="an id stays until the next one",
        ),
        pytest.param(
            b"id: 1\nid: 2\x00\ndata: 2\n\n",
            [("message", "2", "1")],
            id="an id with a null is no id",
        ),
        pytest.param(
            BOM + b"data: 1\n\n" + BOM + b"data: 2\n\n",
            [("message", "1", "")],
            id="a byte order mark is one at the very beginning only",
        ),
        pytest.param(
            b"Data: 1\n data: 2\nretry: 10\nunknown: 3\n\n",
            [],
            id="unknown fields and other spellings are left out",
        ),
        pytest.param(
            b"data: 1\r\rdata: 2\r\n\r\ndata: 3\n\r\n",
            [("message", "1", ""), ("message", "2", ""), ("message", "3", "")],
            id="lines may end in three ways",
        ),
        pytest.param(b"data: a:b: c\n\n", [("message", "a:b: c", "")], id="only one colon counts"),
        pytest.param(
            b'data: {"content":"a"}\n\ndata: [DONE]\n\n',
            [("message", '{"content":"a"}', ""), ("message", "[DONE]", "")],
            id="what llama-server sends",
        ),
    ],
)
def test_a_stream_is_read_as_the_standard_says(
    stream: bytes, events: list[tuple[str, str, str]]
) -> None:
    assert parse([stream]) == events
    assert expected_events(stream) == events


def test_an_event_is_returned_with_the_carriage_return_that_ends_it() -> None:
    parser = SseParser(MIB)
    assert parser.feed(b"data: 1\r\n\r") == [ServerSentEvent("message", "1", "")]
    assert parser.feed(b"") == []
    assert parser.feed(b"\ndata: 2\n") == []
    assert parser.feed(b"\n") == [ServerSentEvent("message", "2", "")]


BIG = [
    pytest.param(b"data: " + b"x" * 100, id="a long line"),
    pytest.param(b"data: xxxx\n" * 30, id="many lines of data"),
    pytest.param(b"data\n" * 200, id="many lines of empty data"),
    pytest.param(b"event: " + b"x" * 50 + b"\ndata: " + b"x" * 20, id="a long name"),
    pytest.param(b"id: " + b"x" * 50 + b"\ndata: " + b"x" * 20, id="a long id"),
    pytest.param(b":" + b"x" * 100, id="a long comment"),
]


@pytest.mark.parametrize("stream", BIG)
@pytest.mark.parametrize("length", [1, 7, 10_000])
def test_an_event_that_is_too_big_is_a_violation_however_it_is_cut(
    stream: bytes, length: int
) -> None:
    with pytest.raises(
        ProtocolViolation,
        match=r"^event stream: sent an event of \d+ bytes or more, expected no more than 64 bytes$",
    ):
        parse(cut(stream, [length]), max_event_bytes=64)


def test_a_violation_names_the_peer() -> None:
    with pytest.raises(ProtocolViolation, match=r"^llama-server: sent an event of 9 bytes or more"):
        SseParser(8, peer="llama-server").feed(b"123456789")


def test_an_event_of_just_the_bound_is_allowed() -> None:
    assert SseParser(7).feed(b"data: x\n\n") == [ServerSentEvent("message", "x", "")]
    with pytest.raises(ProtocolViolation, match="7 bytes or more, expected no more than 6 bytes"):
        SseParser(6).feed(b"data: x\n\n")


def test_comments_that_keep_a_connection_alive_do_not_add_up() -> None:
    parser = SseParser(64)
    for _ in range(1_000):
        assert parser.feed(b": ping\n") == []
    assert parser.feed(b"data: 1\n\n") == [ServerSentEvent("message", "1", "")]


def test_an_event_of_64_mib_in_small_pieces_is_read_without_being_copied_each_time() -> None:
    # Copying what is pending each time would move 500 GB, which the bound of every test would end.
    piece, count = b"x" * (4 * KIB), 16 * KIB
    parser = SseParser(count * len(piece) + 6)
    assert parser.feed(b"data: ") == []
    for _ in range(count):
        assert parser.feed(piece) == []
    (event,) = parser.feed(b"\n\n")
    assert len(event.data) == count * len(piece)


def test_no_more_is_kept_than_was_allowed() -> None:
    endless = repeat(b"data: " + b"x" * 10_000 + b"\n", 1_000)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolViolation):
            parse(endless, max_event_bytes=MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * MIB
