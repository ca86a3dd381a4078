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


class MessageSoFar:
    """An assistant's message on its way, as OpenAI writes it; its tool calls have an index."""

    def __init__(self) -> None:
        self._words: dict[str, Any] = {"role": "assistant", "content": None}
        self._calls: dict[int, dict[str, Any]] = {}

    def add(self, delta: Mapping[str, Any]) -> None:
        """Take the next piece."""
        _add_words(self._words, delta)
        for number, call in enumerate(delta.get("tool_calls") or ()):
            _add_call(self._calls.setdefault(call.get("index", number), {}), call)

    def message(self) -> dict[str, Any]:
        """Return what was taken until now; later pieces do not change it."""
        calls = [self._calls[index] for index in sorted(self._calls)]
        copied = [{**call, "function": dict(call["function"])} for call in calls]
        return {**self._words, **({"tool_calls": copied} if copied else {})}


def whole_answer(pieces: Sequence[ChatChunk]) -> ChatAnswer:
    """Join the pieces of an assistant's message."""
    last = pieces[-1]
    said = MessageSoFar()
    for piece in pieces:
        said.add(piece.delta)
    return ChatAnswer(
        message=said.message(),
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
