from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_llm.errors import ProtocolViolation
from safe_llm.protocol.worker import (
    Reply,
    ReplyReader,
    Request,
    RequestReader,
    encode,
    encode_reply,
)
from tests.unit_tests.protocol.cutting import cut, cuttings

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB = 1024 * 1024

numbers = st.integers(min_value=0)
words = st.text()
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
objects = st.dictionaries(st.text(), values, max_size=4)
requests = st.builds(Request, numbers, words, objects)
replies = st.builds(Reply, numbers, words, objects)


def read_requests(pieces: Iterable[bytes], max_message_bytes: int = MIB) -> list[Request]:
    reader = RequestReader(max_message_bytes, peer="parent")
    return [request for piece in pieces for request in reader.feed(piece)]


def read_replies(pieces: Iterable[bytes], max_message_bytes: int = MIB) -> list[Reply]:
    reader = ReplyReader(max_message_bytes, peer="worker")
    return [reply for piece in pieces for reply in reader.feed(piece)]


@given(st.lists(requests), cuttings)
def test_requests_arrive_as_they_were_sent_however_they_are_cut(
    sent: list[Request], lengths: list[int]
) -> None:
    stream = b"".join(encode(one.id, one.do, one.arguments) for one in sent)
    assert read_requests(cut(stream, lengths)) == sent


@given(st.lists(replies), cuttings)
def test_replies_arrive_as_they_were_sent_however_they_are_cut(
    sent: list[Reply], lengths: list[int]
) -> None:
    stream = b"".join(encode_reply(one.id, one.kind, one.data) for one in sent)
    assert read_replies(cut(stream, lengths)) == sent


@given(requests)
def test_a_message_is_one_line_of_ascii(sent: Request) -> None:
    line = encode(sent.id, sent.do, sent.arguments)
    assert line.isascii()
    assert line.splitlines(keepends=True) == [line]
    assert line.endswith(b"\n")


def test_what_is_sent_is_pinned() -> None:
    assert encode(7, "cancel") == b'{"id":7,"do":"cancel","arguments":{}}\n'
    assert encode(7, "complete", {"prompt": "é\n"}) == (
        b'{"id":7,"do":"complete","arguments":{"prompt":"\\u00e9\\n"}}\n'
    )
    assert encode_reply(7, "done") == b'{"id":7,"is":"done","data":{}}\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), b"", object(), {1}])
def test_what_json_does_not_have_is_not_sent(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode(0, "complete", {"value": [value]})
    with pytest.raises((TypeError, ValueError)):
        encode_reply(0, "chunk", {"value": {"deeper": value}})


NO_MESSAGES = [
    pytest.param(b"", "no JSON", id="nothing"),
    pytest.param(b"hello", "no JSON", id="a word"),
    pytest.param(b"\xff\xfe\xff", "no JSON", id="no text"),
    pytest.param(b'{"id":1', "no JSON", id="half of one"),
    pytest.param(b"[" * 100_000, "no JSON", id="too deep"),
    pytest.param(b"9" * 10_000, "no JSON", id="a number too long to be read"),
    pytest.param(b"[1]", "no object", id="a list"),
    pytest.param(b"null", "no object", id="null"),
    pytest.param(b"{}", "without its fields", id="empty"),
    pytest.param(b'{"id":"1","do":"x","is":"x","arguments":{},"data":{}}', "without", id="id text"),
    pytest.param(b'{"id":true,"do":"x","is":"x","arguments":{},"data":{}}', "without", id="id yes"),
    pytest.param(b'{"id":1,"do":1,"is":1,"arguments":{},"data":{}}', "without", id="no verb"),
    pytest.param(b'{"id":1,"do":"x","is":"x","arguments":[],"data":[]}', "without", id="a list in"),
    pytest.param(b'{"id":1,"do":"x","is":"x"}', "without its fields", id="nothing in it"),
]


@pytest.mark.parametrize(("line", "reason"), NO_MESSAGES)
@pytest.mark.parametrize("length", [1, 1_000_000])
def test_a_line_that_is_no_message_is_a_violation_however_it_is_cut(
    line: bytes, reason: str, length: int
) -> None:
    pieces = cut(line + b"\n", [length])
    with pytest.raises(ProtocolViolation, match=f"^worker: .*{reason}"):
        read_replies(pieces)
    with pytest.raises(ProtocolViolation, match=f"^parent: .*{reason}"):
        read_requests(pieces)


@pytest.mark.parametrize("length", [1, 1_000_000])
def test_a_message_that_is_too_long_is_a_violation_that_says_how_long_it_was(length: int) -> None:
    line = encode_reply(1, "chunk", {"text": "x" * 10_000})
    size = len(line) - 1
    assert read_replies(cut(line, [length]), max_message_bytes=size)
    with pytest.raises(ProtocolViolation, match=f"a message of {size} bytes") as caught:
        read_replies(cut(line, [length]), max_message_bytes=size - 1)
    assert len(str(caught.value)) < 1_000


def test_messages_before_a_violation_are_read() -> None:
    reader = ReplyReader(MIB, peer="worker")
    stream = reader.feed(encode_reply(1, "done") + b"Segmentation fault\n")
    assert next(stream) == Reply(1, "done")
    with pytest.raises(ProtocolViolation, match="Segmentation fault"):
        next(stream)


def test_fields_that_a_later_version_may_add_are_ignored() -> None:
    line = json.dumps({"id": 1, "is": "done", "data": {}, "since": 2}).encode()
    assert read_replies([line + b"\n"]) == [Reply(1, "done")]


def test_no_more_is_kept_than_was_allowed() -> None:
    reader = ReplyReader(MIB, peer="worker")
    piece = b"x" * 65536
    tracemalloc.start()
    try:
        for _ in range(1_000):
            assert list(reader.feed(piece)) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * MIB
