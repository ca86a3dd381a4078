from __future__ import annotations

import re
import tracemalloc
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safe_llm.protocol.lines import Line, LineSplitter, sanitise
from tests.unit_tests.protocol.cutting import cut, cuttings

KIB = 1024
MIB = 1024 * KIB

# Few letters, so that terminators meet each other and the ends of pieces often.
streams = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bc", b"\xff", b"\x00"])).map(
    b"".join
)


def split(pieces: list[bytes], max_line_bytes: int = 1_000_000) -> list[Line]:
    splitter = LineSplitter(max_line_bytes)
    return [line for piece in pieces for line in splitter.feed(piece)] + splitter.finish()


def expected_lines(stream: bytes, max_line_bytes: int) -> list[tuple[bytes, bytes, int]]:
    """What a splitter that sees everything at once, and is not in a hurry, would find."""
    whole = re.findall(rb"([^\r\n]*)(\r\n|\r|\n|$)", stream)
    return [
        (text[:max_line_bytes], end, max(0, len(text) - max_line_bytes))
        for text, end in whole
        if text or end
    ]


@given(stream=streams, lengths=cuttings, max_line_bytes=st.integers(min_value=0, max_value=6))
@example(stream=b"a\r\nb", lengths=[2], max_line_bytes=6)
@example(stream=b"a\r\r\n", lengths=[1], max_line_bytes=0)
def test_however_the_bytes_are_cut_the_lines_are_the_same(
    stream: bytes, lengths: list[int], max_line_bytes: int
) -> None:
    assert split(cut(stream, lengths), max_line_bytes) == expected_lines(stream, max_line_bytes)


@given(stream=streams, lengths=cuttings)
def test_no_byte_is_lost_where_no_line_is_too_long(stream: bytes, lengths: list[int]) -> None:
    assert b"".join(line.data + line.terminator for line in split(cut(stream, lengths))) == stream


@given(stream=streams, lengths=cuttings, max_line_bytes=st.integers(min_value=0, max_value=6))
def test_what_is_not_kept_is_counted(
    stream: bytes, lengths: list[int], max_line_bytes: int
) -> None:
    lines = split(cut(stream, lengths), max_line_bytes)
    counted = sum(len(one.data) + len(one.terminator) + one.truncated_bytes for one in lines)
    assert counted == len(stream)


@given(stream=streams, lengths=cuttings, max_line_bytes=st.integers(min_value=0, max_value=6))
def test_no_more_is_kept_than_was_allowed(
    stream: bytes, lengths: list[int], max_line_bytes: int
) -> None:
    splitter = LineSplitter(max_line_bytes)
    for piece in cut(stream, lengths):
        lines = splitter.feed(piece)
        assert all(len(line.data) <= max_line_bytes for line in lines)
        assert len(splitter.pending) <= max_line_bytes


def test_dots_without_a_newline_are_pending() -> None:
    splitter = LineSplitter(100)
    assert splitter.feed(b"loading") == []
    assert splitter.feed(b"..") == []
    assert splitter.feed(b".") == []
    assert splitter.pending == b"loading..."
    assert splitter.feed(b"\n") == [Line(b"loading...", b"\n", 0)]
    assert splitter.pending == b""


def test_progress_that_is_redrawn_is_lines_of_its_own() -> None:
    assert split([b"\r10%\r2", b"0%\rdone\n"]) == [
        Line(b"", b"\r", 0),
        Line(b"10%", b"\r", 0),
        Line(b"20%", b"\r", 0),
        Line(b"done", b"\n", 0),
    ]


def test_a_carriage_return_and_a_newline_in_two_pieces_are_one_terminator() -> None:
    splitter = LineSplitter(100)
    assert splitter.feed(b"one\r") == []
    assert splitter.pending == b"one"
    assert splitter.feed(b"") == []
    assert splitter.feed(b"\ntwo\r") == [Line(b"one", b"\r\n", 0)]
    assert splitter.feed(b"three") == [Line(b"two", b"\r", 0)]
    assert splitter.finish() == [Line(b"three", b"", 0)]


def test_a_splitter_that_was_finished_is_as_new() -> None:
    splitter = LineSplitter(2)
    for last, terminator in ((b"abc", b""), (b"abc\r", b"\r")):
        assert splitter.feed(last) == []
        assert splitter.finish() == [(b"ab", terminator, 1)]
        assert splitter.finish() == []
        assert splitter.feed(b"\n") == [Line(b"", b"\n", 0)]


def test_repr_tells_how_much_is_pending() -> None:
    splitter = LineSplitter(4)
    splitter.feed(b"123456")
    assert repr(splitter) == "<LineSplitter: 4 of at most 4 bytes pending, 2 truncated>"


@pytest.mark.parametrize("piece_bytes", [64 * KIB, KIB])
def test_a_line_of_100_mb_is_cut_and_counted_and_never_held(piece_bytes: int) -> None:
    # In pieces of 1 KiB, copying what is pending each time would move 400 GB, which the bound of
    # every test would end.
    piece, count, bound = b"x" * piece_bytes, 100 * MIB // piece_bytes, 4 * MIB
    splitter = LineSplitter(bound)
    tracemalloc.start()
    try:
        ended = [line for _ in range(count) for line in splitter.feed(piece)]
        ended += splitter.feed(b"\n")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ended == [Line(b"x" * bound, b"\n", 100 * MIB - bound)]
    assert peak < 2.5 * bound  # what is kept, once more as the line, and the slack of a bytearray


def test_a_piece_of_many_lines_is_cut_in_one_go() -> None:
    assert split([b"0123456789abcde\n" * 100_000]) == [Line(b"0123456789abcde", b"\n", 0)] * 100_000


@given(st.binary())
@example(b"\x1b]0;title\x07\x1b[31mred\xc2\x9b0m\x90\xff")
def test_sanitised_text_has_no_control_character_and_no_line_break(data: bytes) -> None:
    text = sanitise(data)
    assert all(unicodedata.category(one) not in {"Cc", "Cs", "Zl", "Zp"} for one in text)
    assert len(text.splitlines()) <= 1


@given(st.binary())
def test_sanitising_twice_changes_nothing_more(data: bytes) -> None:
    once = sanitise(data)
    assert sanitise(once.encode()) == once


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp"))))
def test_harmless_text_of_any_language_is_left_as_it_is(text: str) -> None:
    assert sanitise(text.encode()) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x1b[1;31merror\x1b[0m: no model", "error: no model"),
        (b"\x1b]0;a title\x07ready", "ready"),
        (b"\x1b]8;;https://example.org\x1b\\a link\x1b]8;;\x1b\\", "a link"),
        (b"\x1bPdevice control\x1b\\shown", "shown"),
        (b"\x1b(Bplain\x1b7\x1b8", "plain"),
        (b"\xc2\x9b31mred", "red"),
        (b"\x1b]0;no end, and nothing is hidden", "0;no end, and nothing is hidden"),
        (b"\x1b[", ""),
        (b"\x1b", ""),
        (b"bell\x07 null\x00 back\x08 delete\x7f", "bell null back delete"),
        (b"a\tb\nc\r\nd", "a b c  d"),
        (b"caf\xc3\xa9 \xff\xc3", "café \ufffd\ufffd"),
        ("user\u202etxt.exe".encode(), "usertxt.exe"),
    ],
)
def test_what_a_terminal_would_obey_is_not_shown(data: bytes, text: str) -> None:
    assert sanitise(data) == text


@pytest.mark.parametrize("unit", [b"\x1b", b"\x1b[", b"\x1b]", b"\x1b[0;", b"\x1b]0;x", b"\x1b ("])
def test_a_megabyte_of_unfinished_escape_sequences_is_no_work(unit: bytes) -> None:
    # Quadratic work would be 10^11 steps here, which the bound of every test would end.
    assert "\x1b" not in sanitise(unit * (MIB // len(unit)))
    assert "\x1b" not in sanitise(unit + b"0" * MIB)
