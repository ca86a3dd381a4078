"""What a model can do, in LangChain's words: from its file, before anything is started."""

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

    from langchain_core.language_models import ModelProfile

_BUFFER_BYTES = 1 << 20


def profile_of(
    model_path: str, *, n_ctx: int | None, max_tokens: int | None, has_projector: bool
) -> ModelProfile:
    """Return the profile; of a file that cannot be read, what is true of all our models.

    Every engine enforces schemas and choices of tools by a grammar, whatever its model: so agents
    may rely on ``structured_output``.
    """
    said = _metadata(model_path)
    trained = said.get(f"{said.get('general.architecture')}.context_length")
    template = str(said.get("tokenizer.chat_template") or "")
    profile: dict[str, Any] = {
        "text_inputs": True,
        "text_outputs": True,
        "image_inputs": has_projector,
        "image_url_inputs": has_projector,
        "image_tool_message": False,
        "audio_inputs": False,
        "video_inputs": False,
        "pdf_inputs": False,
        "image_outputs": False,
        "audio_outputs": False,
        "video_outputs": False,
        "tool_calling": True,
        "tool_choice": True,
        "tool_call_streaming": True,
        "structured_output": True,
        "reasoning_output": "<think>" in template,
    }
    known = {
        "name": said.get("general.name"),
        "max_input_tokens": n_ctx or trained,
        "max_output_tokens": max_tokens if max_tokens and max_tokens > 0 else None,
    }
    return {**profile, **{name: one for name, one in known.items() if one}}  # type: ignore[typeddict-item]


def _metadata(model_path: str) -> Mapping[str, Any]:
    with suppress(OSError, ValueError, NoGguf):
        file = Path(model_path).expanduser()
        seen = file.stat()
        if stat.S_ISREG(seen.st_mode):  # to open a pipe would wait for its writer
            return _read(os.fspath(file), seen.st_mtime_ns, seen.st_size)
    return {}


@lru_cache(maxsize=16)
def _read(path: str, changed: int, size: int) -> Mapping[str, Any]:
    del changed, size  # they only tell one content of a path from the next
    with Path(path).open("rb", buffering=_BUFFER_BYTES) as file:
        return read_metadata(file.read)
