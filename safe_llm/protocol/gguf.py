"""The head of a GGUF file: what a model says of itself. Pure: takes bytes by a function.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Arrays, which are mostly the
vocabulary, are passed over.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MAGIC = b"GGUF"
_OLDEST_VERSION = 2  # whose counts have 64 bits, as those of all later ones
_LONGEST_TEXT = 1 << 20  # bytes; a chat template has some thousands
_STRING, _ARRAY = 8, 9
_NUMBERS = dict(
    zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True)
)  # GGUF's types in the letters of `struct`


class NoGguf(ValueError):
    """The bytes are not what the format says."""


class _Reader:
    def __init__(self, take: Callable[[int], bytes]) -> None:
        self._take = take

    def take(self, count: int) -> bytes:
        data = self._take(count)
        if len(data) < count:
            raise NoGguf(f"it ends {count - len(data)} bytes too early")
        return data

    def number(self, letter: str) -> Any:
        return struct.unpack(f"<{letter}", self.take(struct.calcsize(f"<{letter}")))[0]

    def text(self) -> str:
        length = self.number("Q")
        if length > _LONGEST_TEXT:
            raise NoGguf(f"a text of {length} bytes")
        return self.take(length).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self._passed_over(self.number("I"), self.number("Q"))
        if kind not in _NUMBERS:
            raise NoGguf(f"there is no type {kind}")
        return self.number(_NUMBERS[kind])

    def _passed_over(self, kind: int, count: int) -> None:
        if kind in _NUMBERS:
            self.take(count * struct.calcsize(f"<{_NUMBERS[kind]}"))
            return
        for _ in range(count):
            self.value(kind)


def read_metadata(take: Callable[[int], bytes]) -> dict[str, Any]:
    """Return the metadata; an array is None.

    ``take`` returns as many of the next bytes as it is asked for, as ``read`` of a file does.
    Raises ``NoGguf``.
    """
    return _metadata(_Reader(take))[0]


def read_tensor_names(take: Callable[[int], bytes]) -> frozenset[str]:
    """Return what the file has weights for; takes bytes and fails as ``read_metadata`` does."""
    reader = _Reader(take)
    _, tensors = _metadata(reader)
    return frozenset(_tensor_name(reader) for _ in range(tensors))


def _tensor_name(reader: _Reader) -> str:
    name = reader.text()
    dimensions = reader.number("I")
    reader.take(8 * dimensions + 4 + 8)  # its shape, its type, where it is
    return name


def _metadata(reader: _Reader) -> tuple[dict[str, Any], int]:
    if reader.take(4) != _MAGIC:
        raise NoGguf("it does not begin with GGUF")
    version = reader.number("I")
    if version < _OLDEST_VERSION:
        raise NoGguf(f"version {version} of the format is too old")
    tensors = reader.number("Q")
    count = reader.number("Q")
    return {reader.text(): reader.value(reader.number("I")) for _ in range(count)}, tensors
