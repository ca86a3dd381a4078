"""Streams cut into pieces, for parsers that must not care where."""

from __future__ import annotations

from hypothesis import strategies as st

cuttings = st.lists(st.integers(min_value=1, max_value=7), min_size=1)


def cut(stream: bytes, lengths: list[int]) -> list[bytes]:
    """The stream in pieces of these lengths, over and over."""
    pieces: list[bytes] = []
    while stream:
        length = lengths[len(pieces) % len(lengths)]
        pieces.append(stream[:length])
        stream = stream[length:]
    return pieces
