"""Requests in llama-server's and OpenAI's words as llama-cpp-python's. Pure; sends nothing.

Read in ``llama_cpp/llama.py`` 0.3.36. What the library has no word for is refused by name: it would
be ignored without a sound.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from safe_llm.engines.llama_cpp_answers import read_description
from safe_llm.engines.media import check_media
from safe_llm.engines.tool_choice import ToolReader, plan_tools
from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAME = (
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "seed", "stop", "grammar"),
    *("repeat_penalty", "presence_penalty", "frequency_penalty"),
    *("mirostat_tau", "mirostat_eta", "logit_bias"),
    *("json_schema", "repeat_last_n", "ignore_eos", "cache_prompt"),  # the worker's own words
)
_SAMPLING: Mapping[str, str] = {
    **{name: name for name in _SAME},
    "n_predict": "max_tokens",
    "max_tokens": "max_tokens",
    "mirostat": "mirostat_mode",
}
_COMPLETION = {**_SAMPLING, "prompt": "prompt", "n_probs": "logprobs"}
_CHAT = {
    **_SAMPLING,
    **{
        name: name
        for name in (
            *("messages", "tools", "tool_choice", "functions", "function_call"),
            *("response_format", "logprobs", "top_logprobs"),
        )
    },
    "max_completion_tokens": "max_tokens",
}
_MEANT_ANYWAY = frozenset({"stream", "stream_options", "model"})


_CALLS_TOOLS_ITSELF = ("chatml-function-calling", "functionary")


def plan_chat(
    body: Mapping[str, Any], said: Mapping[str, Any], name: str
) -> tuple[dict[str, Any], ToolReader]:
    """Return what to ask of a worker that has ``said`` this of its model, and who reads it.

    Handlers that are made for calling tools are left alone with them.
    """
    if str(said.get("chat_format")).startswith(_CALLS_TOOLS_ITSELF) and body.get("tools"):
        return dict(body), ToolReader()
    model = read_description(said, name)
    check_media(body.get("messages") or (), model)
    return plan_tools(body, model)


def completion_arguments(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the worker is asked for a completion; ``body`` is llama-server's."""
    return _translated(body, _COMPLETION)


def chat_arguments(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the worker is asked for a chat; ``body`` is OpenAI's, as llama-server's."""
    return _translated(body, _CHAT)


def _translated(body: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    asked = {name: value for name, value in body.items() if name not in _MEANT_ANYWAY}
    unknown = [name for name, value in asked.items() if name not in words and value is not None]
    if unknown:
        near = difflib.get_close_matches(unknown[0], words, n=1)
        raise MisuseError(
            reason=f"llama-cpp-python has no {', '.join(sorted(unknown))}",
            hint=f"did you mean {near[0]}?" if near else "engine='llama-server' may know it",
        )
    return {words[name]: value for name, value in asked.items() if value is not None}
