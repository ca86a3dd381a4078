"""Tools for a model whose chat template knows none: told in words, as Hermes was trained. Pure."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from safe_llm.protocol.tool_calls import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def in_words(
    messages: Iterable[Mapping[str, Any]], tools: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the messages with the tools in the first, and with calls and replies as text."""
    told = [_told(message) for message in messages]
    listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    example = as_text({"name": "NAME", "arguments": {"PARAMETER": "VALUE"}})
    text = f"These tools can be called:\n{listed}\nA call is written like this:\n{example}"
    first = told[0] if told else {}
    if first.get("role") == "system" and isinstance(first.get("content"), str):
        return [{**first, "content": f"{first['content']}\n\n{text}"}, *told[1:]]
    return [{"role": "system", "content": text}, *told]


def _told(message: Mapping[str, Any]) -> dict[str, Any]:
    if message.get("role") == "tool":
        reply = f"<tool_response>\n{message.get('content')}\n</tool_response>"
        return {"role": "user", "content": reply}
    if not message.get("tool_calls"):
        return dict(message)
    calls = [as_text(_plain(call["function"])) for call in message["tool_calls"]]
    said = [message["content"]] if message.get("content") else []
    return {"role": "assistant", "content": "\n".join([*said, *calls])}


def _plain(function: Mapping[str, Any]) -> dict[str, Any]:
    said = function.get("arguments") or {}
    if isinstance(said, str):
        with suppress(ValueError):  # a call that was cut off is told as it is
            said = json.loads(said)
    return {"name": function["name"], "arguments": said}
