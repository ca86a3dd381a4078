from __future__ import annotations

import math
from typing import Any

from safe_llm.engines.aggregation import MessageSoFar, whole_answer
from safe_llm.engines.base import ChatChunk
from safe_llm.engines.probabilities import likeliest, logprob_of, said_tokens

DELTAS: list[dict[str, Any]] = [
    {"role": "assistant", "content": None},
    {"content": "So"},
    {"content": "."},
    {"tool_calls": [{"index": 1, "id": "c1", "function": {"name": "add", "arguments": "{"}}]},
    {"tool_calls": [{"index": 0, "id": "c0", "function": {"name": "see", "arguments": "{}"}}]},
    {"tool_calls": [{"index": 1, "function": {"arguments": "}"}}]},
]


def test_a_message_grows_by_its_pieces_and_what_was_shown_of_it_stays() -> None:
    said = MessageSoFar()
    shown = []
    for delta in DELTAS:
        said.add(delta)
        shown.append(said.message())
    assert [one["content"] for one in shown] == [None, "So", *["So."] * 4]
    assert shown[3]["tool_calls"][0]["function"]["arguments"] == "{"
    assert [one["id"] for one in shown[-1]["tool_calls"]] == ["c0", "c1"]
    whole = whole_answer([ChatChunk(delta) for delta in DELTAS])
    assert whole.message == shown[-1]


def test_a_probability_is_said_as_its_logarithm() -> None:
    assert logprob_of({"logprob": -1}) == -1.0
    assert logprob_of({"prob": 0.5}) == math.log(0.5)
    assert logprob_of({"prob": 0}) == -math.inf


def test_the_end_of_the_text_is_no_token_that_was_said() -> None:
    tokens: list[dict[str, Any]] = [{"token": "a"}, {"token": "", "bytes": [7]}, {"token": ""}]
    assert said_tokens(tokens) == tokens[:2]


def test_the_likeliest_tokens_have_two_names() -> None:
    tokens: list[dict[str, Any]] = [{"token": "a"}, {"token": "b"}, {"token": "c"}]
    assert likeliest({"top_logprobs": tokens}, 2) == tokens[:2]
    assert likeliest({"top_probs": tokens}, 1) == tokens[:1]
    assert likeliest({}, 2) == ()
