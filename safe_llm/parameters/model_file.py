"""What a model file says of itself, before anything is started for it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_llm.protocol.gguf import NoGguf, read_metadata, read_tensor_names

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUFFER_BYTES = 1 << 20


def said_by(model_path: str) -> Mapping[str, Any]:
    """Return its metadata; nothing of a file that cannot be read. Reads a file once."""
    with suppress(OSError, ValueError, NoGguf):
        return _read(*_content_of(model_path))
    return {}


def tensors_of(model_path: str) -> frozenset[str]:
    """Return the names of its weights; none of a file that cannot be read. Reads a file once."""
    with suppress(OSError, ValueError, NoGguf):
        return _read_names(*_content_of(model_path))
    return frozenset()


def trained_context(said: Mapping[str, Any]) -> int | None:
    """Return the tokens of context that the model was trained with."""
    found = said.get(f"{said.get('general.architecture')}.context_length")
    return int(found) if isinstance(found, int) else None


def _content_of(model_path: str) -> tuple[str, int, int]:
    file = Path(model_path).expanduser()
    seen = file.stat()
    if not stat.S_ISREG(seen.st_mode):  # to open a pipe would wait for its writer
        raise NoGguf("it is no regular file")
    return os.fspath(file), seen.st_mtime_ns, seen.st_size


@lru_cache(maxsize=16)
def _read(path: str, changed: int, size: int) -> Mapping[str, Any]:
    del changed, size  # they only tell one content of a path from the next
    with Path(path).open("rb", buffering=_BUFFER_BYTES) as file:
        return read_metadata(file.read)


@lru_cache(maxsize=16)
def _read_names(path: str, changed: int, size: int) -> frozenset[str]:
    del changed, size
    with Path(path).open("rb", buffering=_BUFFER_BYTES) as file:
        return read_tensor_names(file.read)
