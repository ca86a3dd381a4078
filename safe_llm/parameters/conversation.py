"""What a conversation may hold, in OpenAI's words, whichever framework it comes from.

Adapters take their messages apart themselves; what they make of them is checked and put together
here. Sends nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ROLES = {
    **{role: role for role in ("system", "user", "assistant", "tool")},
    "developer": "system",  # OpenAI's newer word, which few chat templates know
}
PARTS = ("text", "image_url", "input_audio")
"""The types of the parts of a message that engines take."""


def check_some(messages: Sequence[Any]) -> None:
    """Raise ``MisuseError`` for a conversation without a message."""
    if not messages:
        raise MisuseError(reason="there is no message", hint="a conversation has at least one")


def role_of(number: int, said: str, further: Mapping[str, str]) -> str:
    """Return a role that chat templates know; ``further`` are a framework's own words for them.

    Raises ``MisuseError`` with the number of the message.
    """
    known = {**_ROLES, **further}
    if said not in known:
        raise MisuseError(
            reason=f"message {number} has the role {said!r}",
            hint=f"chat templates know {', '.join(known)}",
        )
    return known[said]


def content_of(number: int, parts: Sequence[Mapping[str, Any]]) -> str | list[dict[str, Any]]:
    """Return the parts of a message, or its text where there is nothing else.

    Many chat templates write down a list as it is, so text that is alone becomes one string.
    Raises ``MisuseError`` with the number of the message for a part that no engine takes.
    """
    foreign = [part.get("type") for part in parts if part.get("type") not in PARTS]
    if foreign:
        raise MisuseError(
            reason=f"message {number} has content of type {foreign[0]!r}",
            hint=f"an engine takes {', '.join(PARTS)}: extract the text of a document first",
        )
    if all(part["type"] == "text" for part in parts):
        return "\n".join(str(part["text"]) for part in parts)
    return [dict(part) for part in parts]


def text_part(text: str) -> dict[str, Any]:
    """Return a part that is text."""
    return {"type": "text", "text": text}


def image_part(url: str, detail: str | None = None) -> dict[str, Any]:
    """Return a part that is an image, at an address or in a ``data:`` one."""
    return {
        "type": "image_url",
        "image_url": {"url": url, **({"detail": detail} if detail else {})},
    }


def sound_part(base64: str, kind: str) -> dict[str, Any]:
    """Return a part that is a sound; ``kind`` is ``"wav"`` or ``"mp3"``."""
    return {"type": "input_audio", "input_audio": {"data": base64, "format": kind}}


def data_url(base64: str, mimetype: str) -> str:
    """Return the address in which the data itself stands."""
    return f"data:{mimetype};base64,{base64}"


def call_part(name: str, arguments: str, call_id: str) -> dict[str, Any]:
    """Return a call of a tool as it stands in an assistant's message."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}
