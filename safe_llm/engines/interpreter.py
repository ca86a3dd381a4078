"""How a program of ``safe_llm.worker`` is started: by this interpreter, with what it can import."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def worker_command(program: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the argv of ``safe_llm.worker.PROGRAM``, and the environment that it needs."""
    # What this interpreter can import its child must be able to import.
    path = os.pathsep.join(one for one in sys.path if one and Path(one).exists())
    return (sys.executable, "-m", f"safe_llm.worker.{program}"), {"PYTHONPATH": path}
