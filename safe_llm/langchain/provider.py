"""``init_chat_model("safe_llm:…")``: our chat model by a name, for those who ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safe_llm.errors import MissingExtra
from safe_llm.langchain.content_blocks import PROVIDER
from safe_llm.models import pocket_model

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from safe_llm.langchain.chat_models import ChatLlamaCpp

_POCKET = "pocket"


def register_provider() -> None:
    """Teach LangChain's ``init_chat_model`` the provider ``safe_llm``. Idempotent.

    ``init_chat_model("safe_llm:/path/of/model.gguf", temperature=0)`` is a ``ChatLlamaCpp`` then,
    and ``"safe_llm:pocket"`` one with the model that is in this package. LangChain has no public
    way to add a provider (1.5): this adds an entry to its table, and nothing does so unasked.

    Raises ``MissingExtra`` where ``langchain`` is not installed.
    """
    try:
        from langchain.chat_models import base  # noqa: PLC0415 - it is needed by nothing else
    except ImportError as error:
        raise MissingExtra(
            what="langchain, whose init_chat_model is meant",
            extra="langchain",
            hint="pip install langchain",
        ) from error
    base._BUILTIN_PROVIDERS[PROVIDER] = (  # noqa: SLF001 - see above
        "safe_llm.langchain",
        "ChatLlamaCpp",
        _create,
    )


def _create(cls: type[ChatLlamaCpp], model: str, **fields: Any) -> BaseChatModel:
    path = str(pocket_model()) if model == _POCKET else model
    return cls(model_path=path, **fields)
