"""What the pocket model is made of: its tokens, its corpus, and what of it is learnt."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket_model import corpus, vocabulary
from pocket_model.bare import bare
from pocket_model.conversation import Conversation, answer, calls, talk, unmarked, user
from pocket_model.conversation import given as enforced
from pocket_model.score import said
from pocket_model.tooling import told

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = list(corpus.EVERYTHING)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_its_tokens(text: str) -> None:
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_a_byte_is_a_token_and_a_control_text_is_one() -> None:
    text = f"{vocabulary.USER}é\n{vocabulary.END}"
    assert vocabulary.encode(text) == [260, 0xC3, 0xA9, 0x0A, 257]


def test_each_byte_has_a_spelling_of_one_printable_character() -> None:
    spelled = [vocabulary.spelled(byte) for byte in range(256)]
    assert len(set(spelled)) == 256
    assert all(len(one) == 1 and one.isprintable() for one in spelled)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_kind_gives_the_same_conversations_for_the_same_seed(
    kind: Callable[[Random], Conversation],
) -> None:
    assert [kind(Random(7)) for _ in range(5)] == [kind(Random(7)) for _ in range(5)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_calls_are_json_that_fits_the_schema_of_an_offered_tool(
    kind: Callable[[Random], Conversation],
) -> None:
    random = Random(11)
    for _ in range(40):
        conversation = kind(random)
        offered = {one["function"]["name"]: one["function"] for one in conversation.tools}
        for name, arguments in calls_of(conversation):
            known = offered[name]["parameters"]
            assert set(arguments) <= set(known["properties"])
            assert set(arguments) >= set(known.get("required", ()))


def calls_of(conversation: Conversation) -> list[tuple[str, dict[str, Any]]]:
    functions = [
        call["function"]
        for message in conversation.messages
        for call in message.get("tool_calls", ())
    ]
    return [(one["name"], json.loads(one["arguments"])) for one in functions]


def test_enforced_calls_are_the_same_calls_as_bare_json() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    before = talk(user("go"), calls(("f", '{"a": 1.50}')), tools=[tool])
    after = bare(before, listed=True)
    assert json.loads(unmarked(after.messages[-1]["content"])) == [
        {"name": "f", "arguments": {"a": 1.5}}
    ]
    assert after.options["response_format"]["json_schema"]["schema"]["type"] == "array"


@pytest.mark.parametrize(
    ("replied", "answer_"),
    [
        ('{"result": 1.50}', "The result is 1.50."),
        ("3", "The result is 3."),
        ("It's sunny.", "It's sunny."),
        ("Error: no such file", "The tool failed: no such file"),
        ('["a", "b"]', "a, b"),
    ],
)
def test_a_reply_is_told_with_its_numbers_as_they_were_written(replied: str, answer_: str) -> None:
    assert told(replied) == answer_


def test_an_answer_is_compared_with_its_numbers_as_they_were_written() -> None:
    assert said(answer('{"a": 1.50}')) != said(answer('{"a": 1.5}'))
    assert said(answer('{"a":1.50}')) == said(answer('{"a": 1.50}'))


def test_what_a_grammar_enforces_is_not_learnt() -> None:
    pytest.importorskip("jinja2")
    from pocket_model.rendering import tokens_of  # noqa: PLC0415 - needs jinja2

    tokens, weights = tokens_of(talk(user("hi"), answer(enforced('{"a": "') + 'b"}')))
    learnt = [token for token, weight in zip(tokens, weights, strict=True) if weight == 1.0]
    assert vocabulary.decode(learnt) == 'b"}<|end|>'
