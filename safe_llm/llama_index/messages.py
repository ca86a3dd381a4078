"""LlamaIndex's messages as OpenAI's, which is what engines take. Sends nothing.

Thoughts go where llama-server looks for them, ``reasoning_content``: whether the model sees them
again is its chat template's decision. An image at an address is left for the engine to fetch.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from safe_llm.errors import MisuseError
from safe_llm.parameters.conversation import (
    call_part,
    check_some,
    content_of,
    data_url,
    image_part,
    role_of,
    sound_part,
    text_part,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from io import IOBase

    from llama_index.core.base.llms.types import ChatMessage, ContentBlock

_ROLES = {"chatbot": "assistant", "model": "assistant"}  # of other providers
_NO_CONTENT = (ThinkingBlock, ToolCallBlock, CachePoint)  # the last is a word to other providers
_KEPT = ("tool_call_id", "name")


def to_openai(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Return the conversation in OpenAI's words.

    Raises ``MisuseError``, with the number of the message, for a role that no chat template knows
    and for content that no engine takes.
    """
    check_some(messages)
    return [_converted(number, message) for number, message in enumerate(messages)]


def _converted(number: int, message: ChatMessage) -> dict[str, Any]:
    further = message.additional_kwargs
    parts = [_part(number, one) for one in message.blocks if not isinstance(one, _NO_CONTENT)]
    said: dict[str, Any] = {
        "role": role_of(number, message.role.value, _ROLES),
        "content": content_of(number, parts),
        **{name: further[name] for name in _KEPT if further.get(name) is not None},
    }
    if said["role"] == "assistant":
        calls = _calls(message.blocks) or _calls_of_older_messages(further)
        said |= {"tool_calls": calls} if calls else {}
        thoughts = "".join(one.content or "" for one in _thoughts(message.blocks))
        said |= {"reasoning_content": thoughts} if thoughts else {}
    return said


def _part(number: int, block: ContentBlock) -> dict[str, Any]:
    if isinstance(block, TextBlock):
        return text_part(block.text)
    if isinstance(block, ImageBlock):
        return image_part(_address(number, block), block.detail)
    if isinstance(block, AudioBlock):
        return _sound(number, block)
    return {"type": block.block_type}


def _address(number: int, block: ImageBlock) -> str:
    if block.url is not None and block.image is None and block.path is None:
        return str(block.url)
    data = _bytes(number, block.resolve_image)
    kind = block.image_mimetype or ImageBlock(image=data).image_mimetype  # which looks into them
    if kind is None:
        raise MisuseError(
            reason=f"message {number} has an image of unknown type",
            hint="give image_mimetype=, for example 'image/png'",
        )
    return data_url(_base64(data), kind)


def _sound(number: int, block: AudioBlock) -> dict[str, Any]:
    is_elsewhere = block.url is not None and block.audio is None and block.path is None
    if is_elsewhere and not str(block.url).startswith("data:"):
        # No engine fetches sounds, and LlamaIndex would do it in the caller's event loop.
        raise MisuseError(
            reason=f"message {number} has a sound at {block.url}, and nothing is downloaded here",
            hint="fetch it first, and give audio= or path=",
        )
    data = _bytes(number, block.resolve_audio)
    return sound_part(_base64(data), block.format or AudioBlock(audio=data).format or "wav")


def _bytes(number: int, resolve: Callable[[], IOBase]) -> bytes:
    # Not by its as_base64=, which leaves an open file as it is.
    try:
        data: bytes = resolve().read()
    except (OSError, ValueError) as error:
        raise MisuseError(reason=f"message {number} cannot be sent: {error}") from error
    return data


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _thoughts(blocks: Iterable[ContentBlock]) -> list[ThinkingBlock]:
    return [one for one in blocks if isinstance(one, ThinkingBlock)]


def _calls(blocks: Iterable[ContentBlock]) -> list[dict[str, Any]]:
    return [
        call_part(one.tool_name, _text(one.tool_kwargs), one.tool_call_id or "")
        for one in blocks
        if isinstance(one, ToolCallBlock)
    ]


def _text(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _calls_of_older_messages(further: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Calls from before LlamaIndex had blocks for them: dicts, or objects of OpenAI's library."""
    found = further.get("tool_calls") or ()
    return [one if isinstance(one, dict) else one.model_dump() for one in found]
