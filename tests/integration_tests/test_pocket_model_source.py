"""The source of the pocket model and the file in the package say the same, on a real server."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

import safe_llm
from pocket_model import bare, corpus, vocabulary
from pocket_model.conversation import unmarked
from pocket_model.score import as_sent, served

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

pytest.importorskip("xllamacpp")
pytest.importorskip("jinja2")

TEXTS = (
    "Grüße, 你好, こんにちは, مرحبا 😀",
    "  leading spaces\n\ttabs\r\n\n",
    '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>',
    "<|user|>a<|end|><tool_response>b",
    "<|nothing|> </s> <0x41> ▁",
)


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    with served(safe_llm.pocket_model()) as client:
        yield client


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_has_the_tokens_that_training_gave_it(server: httpx.Client, text: str) -> None:
    asked = {"content": text, "add_special": False, "parse_special": True}
    tokens = server.post("/tokenize", json=asked).json()["tokens"]
    assert tokens == vocabulary.encode(text)
    assert server.post("/detokenize", json={"tokens": tokens}).json()["content"] == text


def test_the_template_of_the_server_shows_a_conversation_as_training_did(
    server: httpx.Client,
) -> None:
    from pocket_model.rendering import rendered  # noqa: PLC0415 - needs jinja2

    random = Random(3)
    for kind in corpus.EVERYTHING:
        conversation = bare.maybe_bare(random, kind(random))
        if conversation.raw:
            continue
        *before, last = conversation.messages
        sent = [as_sent(one, number) for number, one in enumerate(before)]
        asked = {"messages": sent, "tools": conversation.tools or None}
        shown = server.post("/apply-template", json=asked).json()["prompt"]
        whole = unmarked(rendered(conversation))
        assert whole.startswith(shown)
        assert whole.removeprefix(shown).startswith(unmarked(last["content"]))


def test_the_template_says_that_it_knows_tools(server: httpx.Client) -> None:
    known = server.get("/props").json()["chat_template_caps"]
    assert {name for name, value in known.items() if value} >= {
        "supports_tools",
        "supports_tool_calls",
        "supports_parallel_tool_calls",
        "supports_object_arguments",
        "supports_system_role",
    }
