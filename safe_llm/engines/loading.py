"""How far the loading of a model has come, seen from outside."""

from __future__ import annotations

from pathlib import Path

from safe_llm.diagnose.procfs import resident_bytes

_ALMOST = 0.99  # a loaded file is not yet a ready engine


def fraction_in_memory(pid: int, model_path: str) -> float | None:
    """How much of the model file is in memory, None where that cannot be known."""
    resident = resident_bytes(pid)
    try:
        size = Path(model_path).expanduser().stat().st_size
    except OSError:  # it was removed since it was opened, which is allowed
        return None
    return min(resident / size, _ALMOST) if resident is not None and size else None
