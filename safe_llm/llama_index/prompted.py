"""A chat by a prompt of the user's own: what it asks, in the words of a completion. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_TOOLS = ("tools", "tool_choice", "parallel_tool_calls")
_OTHERWISE_CALLED = {"max_completion_tokens": "max_tokens", "top_logprobs": "logprobs"}


def as_completion(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words of a completion.

    Raises ``MisuseError`` for tools, which only a chat template can show to a model.
    """
    if call.get("tools"):
        raise MisuseError(
            reason="tools are shown by the model's chat template, and messages_to_prompt replaces"
            " it",
            hint="leave messages_to_prompt= out, or use a ReActAgent, which tells tools in words",
        )
    said = {name: value for name, value in call.items() if name not in _OF_TOOLS}
    schema = _schema(said.pop("response_format", None))
    for name, usual in _OTHERWISE_CALLED.items():
        if name in said:
            said[usual] = said.pop(name)
    return {**said, **({} if schema is None else {"json_schema": schema})}


def _schema(response_format: Mapping[str, Any] | None) -> dict[str, Any] | None:
    wanted = response_format or {"type": "text"}
    if wanted.get("type") == "text":
        return None
    described = wanted.get("json_schema") or {}
    return dict(described.get("schema") or wanted.get("schema") or {"type": "object"})
