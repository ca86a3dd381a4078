"""The tokenizer: one token for each byte and a few control tokens. Pure.

A text becomes the tokens that llama.cpp makes of it: its control tokens where they are spelled
out, one token a byte for the rest. So any text can be copied, and none needs an unknown token.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BYTES = 256

BEGIN = "<|begin|>"
END = "<|end|>"
TOOLS = "<|tools|>"
SYSTEM = "<|system|>"
USER = "<|user|>"
ASSISTANT = "<|assistant|>"
REPLY = "<tool_response>"
CALL = "<tool_call>"
CALL_END = "</tool_call>"

CONTROL = (BEGIN, END, TOOLS, SYSTEM, USER, ASSISTANT, REPLY)
USER_DEFINED = (CALL, CALL_END)  # the server must see them in the text of an answer
SPECIAL = CONTROL + USER_DEFINED
SIZE = BYTES + len(SPECIAL)

_IDS = {text: BYTES + number for number, text in enumerate(SPECIAL)}
_CUT = re.compile("(" + "|".join(re.escape(text) for text in SPECIAL) + ")")


def identity(special: str) -> int:
    """Return the token of a special text."""
    return _IDS[special]


def encode(text: str) -> list[int]:
    """Return the tokens of a text, without the one that begins it."""
    tokens: list[int] = []
    for part in _CUT.split(text):
        if part in _IDS:
            tokens.append(_IDS[part])
        else:
            tokens.extend(part.encode())
    return tokens


def decode(tokens: Iterable[int]) -> str:
    """Return the text of tokens; bytes that are no UTF-8 are replaced."""
    parts = (bytes([one]) if one < BYTES else SPECIAL[one - BYTES].encode() for one in tokens)
    return b"".join(parts).decode(errors="replace")


def spelled(byte: int) -> str:
    """Return how the vocabulary of a GPT-2 tokenizer spells a byte: one printable character."""
    return _SPELLED[byte]


def _spellings() -> list[str]:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(BYTES) if byte not in printable]
    spelled = {byte: chr(byte) for byte in printable}
    spelled |= {byte: chr(0x100 + number) for number, byte in enumerate(others)}
    return [spelled[byte] for byte in range(BYTES)]


_SPELLED = _spellings()
