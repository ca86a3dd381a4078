"""What an answer depends on, as plain data: the key of LangChain's cache. Keeps no secret in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.engines.spec import EngineSpec
    from safe_llm.parameters.request import Request

_OF_THE_ORIGINAL = (
    *("model_path", "suffix", "max_tokens", "temperature", "top_p", "logprobs", "echo"),
    *("repeat_penalty", "top_k"),
)


def identity(
    fields: Mapping[str, Any], *, base_url: str | None, spec: EngineSpec, request: Request
) -> dict[str, Any]:
    """Return the original's identifying parameters, and besides them what else matters.

    It can be written as JSON, which ``BaseLLM.save`` does.
    """
    grammar, path = fields.get("grammar"), fields.get("grammar_path")
    others = {
        "grammar": getattr(grammar, "_grammar", grammar),
        "grammar_path": str(path) if path else None,
        "base_url": base_url,
        **spec.plain(),
    }
    return {
        **{name: fields.get(name) for name in _OF_THE_ORIGINAL},
        "stop_sequences": fields.get("stop"),  # as the original calls it
        **{name: value for name, value in others.items() if value},
        "engine_kind": spec.kind,
        "request": dict(request.body),
    }
