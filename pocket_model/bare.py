"""Calls as an engine enforces them: the JSON of a call, or of several, as the whole answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pocket_model.conversation import answer, given

if TYPE_CHECKING:
    from random import Random

    from pocket_model.conversation import Conversation

SHARE = 0.18  # of the conversations that end with calls
_SEVERAL = 0.35  # how often one call is a list of one


def maybe_bare(random: Random, conversation: Conversation) -> Conversation:
    """Return the conversation, now and then with its last calls in this form."""
    last = conversation.messages[-1] if conversation.messages else {}
    if not last.get("tool_calls") or last["content"] or random.random() > SHARE:
        return conversation
    return bare(conversation, listed=len(last["tool_calls"]) > 1 or random.random() < _SEVERAL)


def bare(conversation: Conversation, *, listed: bool) -> Conversation:
    """Return the conversation with its last calls as JSON that was enforced."""
    *before, last = conversation.messages
    functions = [one["function"] for one in last["tool_calls"]]
    calls = [f'{{"name": "{one["name"]}", "arguments": {one["arguments"]}}}' for one in functions]
    text = f"[{', '.join(calls)}]" if listed else calls[0]
    return replace(
        conversation,
        messages=[*before, answer(given(text[0]) + text[1:])],
        options={**conversation.options, **enforced(conversation.tools, listed=listed)},
    )


def enforced(tools: list[dict[str, Any]], *, listed: bool) -> dict[str, Any]:
    """Return the options of a request that has the server enforce calls."""
    calls = [_schema(tool["function"]) for tool in tools]
    schema = calls[0] if len(calls) == 1 else {"anyOf": calls}
    if listed:
        schema = {"type": "array", "items": schema, "minItems": 1}
    wanted = {"type": "json_schema", "json_schema": {"name": "calls", "schema": schema}}
    return {"tool_choice": "none", "response_format": wanted}


def _schema(function: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": function["parameters"]},
        "required": ["name", "arguments"],
    }
