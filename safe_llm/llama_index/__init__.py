"""LlamaIndex's classes, served by engines of ours: translation only, nothing is supervised here.

``from safe_llm.llama_index import LlamaCPP`` replaces
``from llama_index.llms.llama_cpp import LlamaCPP``. Importing this without the extra
``llama-index`` raises ``MissingExtra``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from safe_llm.errors import MissingExtra

if TYPE_CHECKING:
    from safe_llm.llama_index.embeddings import LlamaCppEmbedding
    from safe_llm.llama_index.llms import LlamaCPP

__all__ = ["LlamaCPP", "LlamaCppEmbedding"]

_HOMES = {
    "LlamaCPP": "safe_llm.llama_index.llms",
    "LlamaCppEmbedding": "safe_llm.llama_index.embeddings",
}

if find_spec("llama_index") is None or find_spec("llama_index.core") is None:
    raise MissingExtra(what="llama-index-core", extra="llama-index")


def __getattr__(name: str) -> object:
    """Load a class, and llama_index.core with it, when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted(__all__)
