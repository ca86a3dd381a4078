"""Whether a write would block is asked of the kernel, and only where the kernel knows."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from safe_llm.observers.writability import accepts_write

if TYPE_CHECKING:
    from pathlib import Path


def fill(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    for size in (65_536, 1):
        try:
            while True:
                os.write(descriptor, b"x" * size)
        except BlockingIOError:
            pass


def test_a_full_pipe_does_not_accept_and_an_emptied_one_does() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as source, os.fdopen(writer, "w") as stream:
        assert accepts_write(stream, 0.0)
        fill(stream.fileno())
        assert not accepts_write(stream, 0.01)
        source.read(65_536)
        assert accepts_write(stream, 0.0)


def test_a_broken_pipe_fails_rather_than_blocks() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        fill(writer)
        os.close(reader)
        assert accepts_write(stream, 0.0)


def test_what_has_no_descriptor_of_its_own_is_trusted(tmp_path: Path) -> None:
    closed = (tmp_path / "closed").open("w", encoding="utf-8")
    closed.close()
    with (tmp_path / "file").open("w", encoding="utf-8") as file:
        streams = [None, io.StringIO(), io.TextIOWrapper(io.BytesIO()), closed, file]
        assert all(accepts_write(stream, 0.0) for stream in streams)
