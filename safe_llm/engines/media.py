"""Images and sounds in a conversation, and whether the model can take them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from safe_llm.engines.base import ModelDescription

_IMAGE, _SOUND = "image_url", "input_audio"


def media_in(messages: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the kinds of parts in the messages that are no text."""
    contents = (message.get("content") for message in messages)
    parts = (part for content in contents if isinstance(content, list) for part in content)
    return {str(part.get("type")) for part in parts} & {_IMAGE, _SOUND}


def check_media(messages: Iterable[Mapping[str, Any]], model: ModelDescription) -> None:
    """Raise ``MisuseError`` for what this model has no senses for."""
    found = media_in(messages)
    can = {_IMAGE: model.sees, _SOUND: model.hears}
    for kind, what in ((_IMAGE, "an image"), (_SOUND, "a sound")):
        if kind in found and not can[kind]:
            raise MisuseError(
                reason=f"a message has {what}, and {model.name} was loaded without a projector",
                hint="give mmproj=, the file that belongs to the model (mmproj-….gguf)",
            )
