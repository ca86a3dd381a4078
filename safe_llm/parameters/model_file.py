"""What a model file says of itself, before anything is started for it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_llm.protocol.gguf import NoGguf, read_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUFFER_BYTES = 1 << 20


def said_by(model_path: str) -> Mapping[str, Any]:
    """Return its metadata; nothing of a file that cannot be read. Reads a file once."""
    with suppress(OSError, ValueError, NoGguf):
        file = Path(model_path).expanduser()
        seen = file.stat()
        if stat.S_ISREG(seen.st_mode):  # to open a pipe would wait for its writer
            return _read(os.fspath(file), seen.st_mtime_ns, seen.st_size)
    return {}


def trained_context(said: Mapping[str, Any]) -> int | None:
    """Return the tokens of context that the model was trained with."""
    found = said.get(f"{said.get('general.architecture')}.context_length")
    return int(found) if isinstance(found, int) else None


@lru_cache(maxsize=16)
def _read(path: str, changed: int, size: int) -> Mapping[str, Any]:
    del changed, size  # they only tell one content of a path from the next
    with Path(path).open("rb", buffering=_BUFFER_BYTES) as file:
        return read_metadata(file.read)
