"""The pieces of one streamed answer as a whole. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safe_llm.engines.base import ChatAnswer, Completion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from safe_llm.engines.base import ChatChunk, CompletionChunk

_TEXTS = ("content", "reasoning_content", "refusal")  # come in pieces; anything else comes whole


def whole_completion(pieces: Sequence[CompletionChunk]) -> Completion:
    """Join the pieces of a completion; the last one carries what is known only at the end."""
    last = pieces[-1]
    return Completion(
        text="".join(piece.text for piece in pieces),
        finish_reason=last.finish_reason,
        usage=last.usage,
        logprobs=tuple(one for piece in pieces for one in piece.logprobs),
        timings=last.timings,
    )


def whole_answer(pieces: Sequence[ChatChunk]) -> ChatAnswer:
    """Join the pieces of an assistant's message, its tool calls by their index."""
    last = pieces[-1]
    message: dict[str, Any] = {"role": "assistant", "content": None}
    calls: dict[int, dict[str, Any]] = {}
    for piece in pieces:
        _add_words(message, piece.delta)
        for number, call in enumerate(piece.delta.get("tool_calls") or ()):
            _add_call(calls.setdefault(call.get("index", number), {}), call)
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return ChatAnswer(
        message=message,
        finish_reason=last.finish_reason,
        usage=last.usage,
        logprobs=tuple(one for piece in pieces for one in piece.logprobs),
        timings=last.timings,
    )


def _add_words(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name, value in delta.items():
        if name == "tool_calls" or value is None:
            continue
        message[name] = (message.get(name) or "") + value if name in _TEXTS else value


def _add_call(whole: dict[str, Any], part: Mapping[str, Any]) -> None:
    function = whole.setdefault("function", {"name": "", "arguments": ""})
    whole["type"] = part.get("type") or whole.get("type", "function")
    if part.get("id"):
        whole["id"] = part["id"]
    said = part.get("function") or {}
    function["name"] = said.get("name") or function["name"]
    function["arguments"] += said.get("arguments") or ""
