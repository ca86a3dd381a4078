"""LangChain's messages as OpenAI's, which is what engines take. Sends nothing.

Reasoning goes where llama-server looks for it, ``reasoning_content``: whether the model sees it
again is its chat template's decision. Content that is text only becomes one string, because many
templates write down a list as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, FunctionMessage, convert_to_openai_messages

from safe_llm.errors import MisuseError
from safe_llm.parameters.conversation import check_some, content_of, role_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.messages import BaseMessage

_ROLES = {"human": "user", "ai": "assistant"}


def to_openai(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Return the conversation in OpenAI's words.

    Raises ``MisuseError``, with the number of the message, for a role that no chat template knows
    and for content that no engine takes.
    """
    check_some(messages)
    return [one for number, message in enumerate(messages) for one in _converted(number, message)]


def _converted(number: int, message: BaseMessage) -> Iterator[dict[str, Any]]:
    if isinstance(message, FunctionMessage):
        raise MisuseError(
            reason=f"message {number} is a FunctionMessage, which chat templates do not know",
            hint="give the reply as a ToolMessage, with the id of its call",
        )
    try:
        converted = convert_to_openai_messages([message], text_format="string")
    except (ValueError, TypeError, KeyError) as error:
        raise MisuseError(reason=f"message {number} cannot be sent: {error}") from error
    for one in converted:
        role = role_of(number, one["role"], _ROLES)
        said = _assistants(message) if isinstance(message, AIMessage) else {}
        content = _checked(number, said.get("content", one.get("content")))
        yield {**one, **said, "role": role, "content": content}


def _assistants(message: AIMessage) -> dict[str, Any]:
    """What an assistant said, apart from its calls, which are in ``tool_calls`` already."""
    blocks: list[Any] = list(message.content_blocks)
    reasoning = "".join(one.get("reasoning", "") for one in blocks if one["type"] == "reasoning")
    return {"content": message.text, **({"reasoning_content": reasoning} if reasoning else {})}


def _checked(number: int, content: Any) -> Any:
    if not isinstance(content, list):
        return content if content is not None else ""
    parts = [one if isinstance(one, dict) else {"type": type(one).__name__} for one in content]
    return content_of(number, parts)
