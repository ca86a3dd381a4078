"""Which kind of engine runs a model where nobody says: by what is installed. Starts none.

llama-server comes first: one process of it serves several calls at once, each of which can be
cancelled in the middle of a token.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import get_args

from safe_llm.engines.binary import ENVIRONMENT_VARIABLE, locate_binary
from safe_llm.engines.llama_cpp_program import require_library
from safe_llm.engines.spec import EngineKind
from safe_llm.errors import MissingExtra

KINDS: tuple[EngineKind, ...] = get_args(EngineKind)


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind of engine, and why it is that one; empty where somebody named it."""

    kind: EngineKind
    because: str = ""


_chosen: dict[tuple[str | None, ...], Choice] = {}


def choose_engine() -> Choice:
    """Return llama-server where there is one, else llama-cpp-python where there is that.

    Where there is neither it is llama-server, whose start says how to get one. Looks for names on
    ``PATH`` and ``sys.path``; runs and imports nothing.
    """
    # What was found stays; what was not may be installed the next moment, from a notebook's cell.
    place = (os.environ.get("PATH"), os.environ.get(ENVIRONMENT_VARIABLE))
    chosen = _chosen.get(place) or _look()
    if chosen is None:
        return Choice("llama-server", "nothing that could run a model was found")
    return _chosen.setdefault(place, chosen)


def _look() -> Choice | None:
    with suppress(MissingExtra):
        return Choice("llama-server", f"one was found by {locate_binary(None).origin}")
    with suppress(MissingExtra):
        require_library()
        return Choice("llama-cpp-python", "no llama-server was found")
    return None
