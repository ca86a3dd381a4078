"""Figures that are widely quoted for what engines log, as data, to stand beside measured ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safe_llm.measure.subject import LLAMA_CPP, LLAMA_SERVER

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Quoted:
    """What is said of one engine at one verbosity; empty where nothing is."""

    request: str = ""
    requests_until_full: str = ""


NOTHING_QUOTED = Quoted()

_QUOTED: Mapping[tuple[str, str], Quoted] = {
    (LLAMA_SERVER, "default"): Quoted("600-1,200 B", "54-107"),
    (LLAMA_SERVER, "4"): Quoted("4-16 KB", "4-16"),
    (LLAMA_SERVER, "debug"): Quoted("4-16 KB"),
    (LLAMA_CPP, "on"): Quoted("3 x llama.cpp", "18-36"),
}


def quoted(engine: str, verbosity: str) -> Quoted:
    """Return what is widely quoted for this."""
    return _QUOTED.get((engine, verbosity), NOTHING_QUOTED)
