"""What a model can do, in LangChain's words: from its file, before anything is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safe_llm.parameters.model_file import said_by, trained_context

if TYPE_CHECKING:
    from langchain_core.language_models import ModelProfile


def profile_of(
    model_path: str, *, n_ctx: int | None, max_tokens: int | None, has_projector: bool
) -> ModelProfile:
    """Return the profile; of a file that cannot be read, what is true of all our models.

    Every engine enforces schemas and choices of tools by a grammar, whatever its model: so agents
    may rely on ``structured_output``.
    """
    said = said_by(model_path)
    trained = trained_context(said)
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
