"""Texts that become vectors or ranks: which can, and how many go into one request. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TEXTS_A_REQUEST = 64
"""So many short ones keep an engine busy."""

BYTES_A_REQUEST = 32 * 1024
"""About 8,000 tokens: a large model on a slow processor has read them long before its limits."""


def check_texts(texts: Sequence[object]) -> None:
    """Raise ``MisuseError`` with its number for what is no text, or an empty one."""
    for number, text in enumerate(texts):
        check_text(text, f"text {number} of {len(texts)}")


def check_text(text: object, name: str) -> None:
    """Raise ``MisuseError`` for what is no text, or an empty one."""
    if isinstance(text, str) and text:
        return
    raise MisuseError(
        reason=f"{name} is {'empty' if text == '' else f'a {type(text).__name__}'}",
        hint="nothing has no meaning to compare: leave it out",
    )


def requests_for(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts in their order, as many at a time as go into one request."""
    part: list[str] = []
    size = 0
    for text in texts:
        more = len(text.encode("utf-8", "replace"))
        if part and (len(part) == TEXTS_A_REQUEST or size + more > BYTES_A_REQUEST):
            yield part
            part, size = [], 0
        part.append(text)
        size += more
    if part:
        yield part
