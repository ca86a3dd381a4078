"""LangChain's classes, served by engines of ours: translation only, nothing is supervised here.

``from safe_llm.langchain import LlamaCpp`` replaces
``from langchain_community.llms import LlamaCpp``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safe_llm.langchain.chat_models import ChatLlamaCpp
    from safe_llm.langchain.embeddings import LlamaCppEmbeddings
    from safe_llm.langchain.llms import LlamaCpp
    from safe_llm.langchain.provider import register_provider
    from safe_llm.langchain.rerank import LlamaCppRerank

__all__ = ["ChatLlamaCpp", "LlamaCpp", "LlamaCppEmbeddings", "LlamaCppRerank", "register_provider"]

_HOMES = {
    "ChatLlamaCpp": "safe_llm.langchain.chat_models",
    "LlamaCpp": "safe_llm.langchain.llms",
    "LlamaCppEmbeddings": "safe_llm.langchain.embeddings",
    "LlamaCppRerank": "safe_llm.langchain.rerank",
    "register_provider": "safe_llm.langchain.provider",
}


def __getattr__(name: str) -> object:
    """Load a class, and langchain_core with it, when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted(__all__)
