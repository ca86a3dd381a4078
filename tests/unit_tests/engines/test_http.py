from __future__ import annotations

import json
import math
from typing import Any

import pytest

from safe_llm.engines.http import HttpClient, remote_error
from safe_llm.errors import MisuseError, PromptTooLong

OVERFLOW = {
    "code": 400,
    "message": "request (30001 tokens) exceeds the available context size (2048 tokens)",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 30001,
    "n_ctx": 2048,
}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"code": 400, "message": "no such grammar", "type": "x"}}, "no such grammar"),
        ({"error": {"code": 400}}, "{'code': 400}"),
        ({"error": "in plain words"}, "in plain words"),
        ({"message": "without an envelope"}, "without an envelope"),
        ({"error": None}, '{"error": null}'),
        ([1, 2], "[1, 2]"),
        ("text", '"text"'),
    ],
)
def test_an_error_of_the_server_is_shown_in_its_own_words(body: Any, message: str) -> None:
    error = remote_error("engine", 400, json.dumps(body).encode())
    assert (error.message, error.status) == (message, 400)
    assert str(error) == f"engine refused the call (status 400): {message}"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>Bad Gateway</html>\n", "<html>Bad Gateway</html>"),
        (b"", "no reason"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 1000, "x" * 300),
    ],
)
def test_what_is_no_json_is_shown_as_it_is_but_not_all_of_it(body: bytes, message: str) -> None:
    assert remote_error("engine", 502, body).message == message


def test_a_prompt_that_is_too_long_is_too_long_by_a_number() -> None:
    error = remote_error("engine", 400, json.dumps({"error": OVERFLOW}).encode())
    assert isinstance(error, PromptTooLong)
    assert "30001 tokens and the context holds 2048: 27953 too many" in str(error)
    assert error.hint


def test_an_error_inside_a_stream_has_no_status() -> None:
    error = remote_error("engine", None, b'{"error":{"message":"out of memory"}}')
    assert str(error) == "engine refused the call: out of memory"


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), b"bytes", {1, 2}])
def test_what_cannot_be_written_as_json_is_the_callers_mistake(value: object) -> None:
    client = HttpClient("engine", "http://engine", max_message_bytes=1)
    with pytest.raises(MisuseError, match="cannot be written as JSON"):
        client.post("/", {"temperature": value}).send(None)
