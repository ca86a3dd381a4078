"""Tools in LlamaIndex's words and in OpenAI's. The engine sees to it that who must call, calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json

from safe_llm.errors import MisuseError
from safe_llm.llama_index.answers import finish_reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llama_index.core.base.llms.types import ChatResponse
    from llama_index.core.tools.types import BaseTool

_CHOICES = ("auto", "none", "required", "any")


def asked_with_tools(
    tools: Sequence[BaseTool],
    messages: Sequence[ChatMessage],
    choice: str | Mapping[str, Any] | None,
    *,
    must_call: bool,
    may_call_several: bool,
) -> dict[str, Any]:
    """Return what a chat is asked that may call these tools, or must."""
    if not tools:
        return {"messages": list(messages)}
    wanted = choice or ("required" if must_call else "auto")
    if isinstance(wanted, str) and wanted not in _CHOICES:
        wanted = {"type": "function", "function": {"name": wanted}}
    return {
        "messages": list(messages),
        "tools": [tool.metadata.to_openai_tool(skip_length_check=True) for tool in tools],
        "tool_choice": wanted,
        "parallel_tool_calls": may_call_several,
    }


def conversation(
    history: Sequence[ChatMessage] | None, question: str | ChatMessage | None
) -> list[ChatMessage]:
    """Return the history and what is said now; the history itself stays as it is."""
    if isinstance(question, str):
        question = ChatMessage(role=MessageRole.USER, content=question)
    return [*(history or ()), *([question] if question else ())]


def only_one_call(response: ChatResponse) -> ChatResponse:
    """Leave the first call, where several were not allowed: LlamaIndex runs one at a time."""
    message = response.message
    calls = [one for one in message.blocks if isinstance(one, ToolCallBlock)]
    if len(calls) > 1:
        message.blocks = [one for one in message.blocks if one not in calls[1:]]
        message.additional_kwargs["tool_calls"] = message.additional_kwargs["tool_calls"][:1]
    return response


def selections(response: ChatResponse, *, must_be_some: bool) -> list[ToolSelection]:
    """Return the calls of a response; of one that is still coming, what there is of them.

    Raises ``ValueError`` as LlamaIndex's own models do if there is none and there must be, and
    ``MisuseError`` for a call that was cut off: running it with half of its arguments would be
    worse.
    """
    calls = [one for one in response.message.blocks if isinstance(one, ToolCallBlock)]
    reason = finish_reason(response)
    if must_be_some and not calls:
        said = response.message.content or ""
        raise ValueError(
            f"expected at least one tool call, got 0; the answer ({reason}) is {said!r:.200}"
        )
    return [
        ToolSelection(
            tool_id=one.tool_call_id or "",
            tool_name=one.tool_name,
            tool_kwargs=_arguments(one, reason),
        )
        for one in calls
    ]


def _arguments(call: ToolCallBlock, finish_reason: str | None) -> dict[str, Any]:
    if not isinstance(call.tool_kwargs, str):
        return call.tool_kwargs
    if finish_reason is not None:
        raise MisuseError(
            reason=f"the call of {call.tool_name!r} has ended ({finish_reason}) before its"
            f" arguments did: {call.tool_kwargs!r:.200}",
            hint="raise max_new_tokens=, or max_tokens= of the call",
        )
    try:
        found: Any = parse_partial_json(call.tool_kwargs)
    except ValueError:  # it has hardly begun
        return {}
    return found if isinstance(found, dict) else {}
