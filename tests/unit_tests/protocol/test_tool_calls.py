"""Calls in the text of a model: however it is cut into pieces, the same calls come out."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_llm.protocol.tool_calls import ForcedCalls, MarkedCalls

if TYPE_CHECKING:
    from collections.abc import Callable

    from safe_llm.protocol.tool_calls import CallScanner

NAMES = frozenset({"f", "g"})


def marked() -> CallScanner:
    numbers = itertools.count()
    return MarkedCalls(lambda: f"id{next(numbers)}")


def forced() -> CallScanner:
    numbers = itertools.count()
    return ForcedCalls(lambda: f"id{next(numbers)}", NAMES)


def read(scanner: CallScanner, pieces: list[str]) -> tuple[str, list[tuple[str, str, str]]]:
    """The content, and of each call its id, its name and its arguments."""
    deltas = [delta for piece in pieces for delta in scanner.feed(piece)] + scanner.finish()
    calls: dict[int, dict[str, str]] = {}
    for call in (one for delta in deltas for one in delta.get("tool_calls", ())):
        whole = calls.setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
        whole["id"] += call.get("id", "")
        for key in ("name", "arguments"):
            whole[key] += call["function"].get(key, "")
    assert scanner.calls == len(calls)
    said = [(one["id"], one["name"], one["arguments"]) for one in calls.values()]
    return "".join(delta.get("content", "") for delta in deltas), said


F = '{"name": "f", "arguments": {"a": "x}\\"<y"}}'
ARGUMENTS = '{"a": "x}\\"<y"}'

CASES: list[tuple[Callable[[], CallScanner], str, str, list[tuple[str, str]]]] = [
    (forced, F, "", [("f", ARGUMENTS)]),
    (forced, f"[{F}, {F}]", "", [("f", ARGUMENTS), ("f", ARGUMENTS)]),
    (forced, '{"arguments": {"z": 1}, "name": "g"}', "", [("g", '{"z": 1}')]),
    (forced, '{"name": "Ann", "age": 3}', '{"name": "Ann", "age": 3}', []),
    (forced, '{"name": "f", "argum', '{"name": "f", "argum', []),
    (forced, '{"name": "f", "arguments": {"a', "", [("f", '{"a')]),
    (forced, "no call", "no call", []),
    (marked, "plain < text\n\n", "plain < text\n\n", []),
    (marked, f"<tool_call>\n{F}\n</tool_call>", "", [("f", ARGUMENTS)]),
    (marked, f"Sure.\n<tool_call>{F}</tool_call>\nok", "Sure.ok", [("f", ARGUMENTS)]),
    (marked, f"<tool_call>{F}{F}</tool_call>", "", [("f", ARGUMENTS)] * 2),
    (marked, f"<tool_call>{F}</tool_call><tool_call>{F}</tool_call>", "", [("f", ARGUMENTS)] * 2),
    (
        marked,
        '<tool_call>{"name": "f", "arguments": {"a": "</tool_call>"}}',
        "",
        [("f", '{"a": "</tool_call>"}')],
    ),
    # A small model forgets a brace, or says more than it was asked for.
    (
        marked,
        '<tool_call>{"name": "f", "arguments": {"a": 1}\n</tool_call>ok',
        "ok",
        [("f", '{"a": 1}')],
    ),
    (marked, '<tool_call>{"name": "f", "arguments": {}, "id": 3}</tool_call>', "", [("f", "{}")]),
    (
        marked,
        '<tool_call>{"name": "f", "parameters": {"b": 2}}</tool_call>',
        "",
        [("f", '{"b": 2}')],
    ),
    (marked, "<tool_call>nonsense</tool_call>", "nonsense", []),
    (forced, r'{"name": "f\x", "arguments": {}}', r'{"name": "f\x", "arguments": {}}', []),
    (marked, "a <b> <tool", "a <b> <tool", []),
]


@pytest.mark.parametrize(("make", "text", "content", "calls"), CASES)
def test_what_a_model_says_is_read_in_pieces_of_any_size(
    make: Callable[[], CallScanner], text: str, content: str, calls: list[tuple[str, str]]
) -> None:
    for size in range(1, len(text) + 1):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        said, found = read(make(), pieces)
        assert (said, [call[1:] for call in found]) == (content, calls), size
        assert [call[0] for call in found] == [f"id{number}" for number in range(len(calls))]


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.text(), values), min_size=1, max_size=3), st.integers(1, 40))
def test_any_arguments_come_through(arguments: list[dict[str, Any]], size: int) -> None:
    calls = [json.dumps({"name": "f", "arguments": one}) for one in arguments]
    text = "\n".join(f"<tool_call>\n{call}\n</tool_call>" for call in calls)
    content, found = read(marked(), [text[at : at + size] for at in range(0, len(text), size)])
    assert content == ""
    assert [json.loads(call[2]) for call in found] == arguments


def test_the_name_is_told_before_the_arguments_are_whole() -> None:
    scanner = forced()
    (begun,) = scanner.feed('{"name": "f", "arguments": ')
    assert begun["tool_calls"][0]["function"] == {"name": "f", "arguments": ""}
    (more,) = scanner.feed('{"a": ')
    assert more["tool_calls"][0]["function"] == {"arguments": '{"a": '}
