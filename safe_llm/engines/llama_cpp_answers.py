"""What the llama-cpp worker answers, as the types and errors of ours. Pure; asks nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safe_llm.engines.base import ChatChunk, CompletionChunk, ModelDescription, Usage
from safe_llm.engines.llama_server_answers import knows_tools
from safe_llm.errors import PromptTooLong, RemoteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.protocol.worker import Reply

_STATUS = {"bad_request": 400, "context_exceeded": 400}  # as llama-server would count it
_FAILED = 500


def read_completion(reply: Reply) -> CompletionChunk:
    """Translate a ``chunk`` or the ``done`` of a completion."""
    data = reply.data
    logprobs = tuple(data.get("logprobs") or ())
    text = str(data.get("text", ""))
    if reply.kind != "done":
        return CompletionChunk(text, logprobs)
    return CompletionChunk(
        text, logprobs, data["finish_reason"], _usage(data), data.get("timings") or {}
    )


def read_description(said: Mapping[str, Any], name: str) -> ModelDescription:
    """Translate what the worker says of the model that it has loaded."""
    template = (said.get("metadata") or {}).get("tokenizer.chat_template")
    own_format = str(said.get("chat_format") or "").startswith("chat_template")
    has_senses = bool(said.get("chat_handler"))
    return ModelDescription(
        name=name,
        context_tokens=int(said.get("n_ctx", 0)),
        shows_tools=own_format and knows_tools(template),
        reads_calls=False,
        sees=has_senses,
        hears=False,
    )


def read_chat(reply: Reply) -> ChatChunk:
    """Translate a ``chunk`` or the ``done`` of a chat."""
    data = reply.data
    delta = data.get("delta") or {}
    logprobs = tuple(data.get("logprobs") or ())
    if reply.kind != "done":
        return ChatChunk(delta, logprobs)
    return ChatChunk(
        delta, logprobs, data["finish_reason"], _usage(data), data.get("timings") or {}
    )


def _usage(data: Mapping[str, Any]) -> Usage:
    counted = data.get("usage") or {}
    return Usage(
        prompt_tokens=int(counted.get("prompt_tokens", 0)),
        completion_tokens=int(counted.get("completion_tokens", 0)),
        cached_tokens=int(counted.get("cached_tokens", 0)),
    )


def refusal(engine: str, data: Mapping[str, Any]) -> RemoteError:
    """Translate an ``error``: the worker is alive and will not do, or could not do, this."""
    kind, message = str(data.get("kind")), str(data.get("message"))
    status = _STATUS.get(kind, _FAILED)
    if kind == "context_exceeded":
        return PromptTooLong(
            engine=engine,
            status=status,
            message=message,
            prompt_tokens=int(data.get("prompt_tokens", 0)),
            context_tokens=int(data.get("context_tokens", 0)),
            hint="shorten the prompt, or give the engine a larger n_ctx",
        )
    return RemoteError(engine=engine, status=status, message=message)
