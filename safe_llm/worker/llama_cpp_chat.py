"""A message of the assistant as OpenAI streams it, whatever the library's handler makes of it."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from safe_llm.worker import llama_cpp_grammar as grammars
from safe_llm.worker.conversation import Refused
from safe_llm.worker.llama_cpp_model import PromptCounted
from safe_llm.worker.llama_cpp_options import translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from safe_llm.worker.llama_cpp_model import Model


def chat(model: Model, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what is new in the message, piece by piece, and what it cost."""
    options = translated(model, arguments)
    _translate_response_format(options)
    if options.get("logprobs"):  # with no number the library would give none at all
        options["top_logprobs"] = options.get("top_logprobs") or 0
    reason, begun = "stop", set[int]()
    for delta, said in _spoken(model, options):
        reason = said or reason
        new = _new(delta, begun)
        if new:
            yield "chunk", {"delta": new, "logprobs": model.take_logprobs(_text_of(new))}
    if model.tally.finish_reason == "length":  # a call of a tool that was cut off is no call
        reason = "length"
    yield "done", {"finish_reason": reason, **model.tally.cost()}


def count(model: Model, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield how many tokens the prompt of a chat has: only its handler knows how it is written."""
    model.only_counts = True
    with suppress(PromptCounted):
        deque(_spoken(model, translated(model, arguments)), maxlen=0)
    yield "done", {"tokens": model.tally.prompt}


def _spoken(
    model: Model, options: dict[str, Any]
) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """Yield what a handler says, and why it ended where it did; some say all at once only."""
    if not _can_stream(model, options):
        (choice,) = model.create_chat_completion(**options)["choices"]
        yield choice["message"], choice["finish_reason"]
        return
    for piece in model.create_chat_completion(stream=True, **options):
        choice = piece["choices"][0]
        yield choice["delta"], choice.get("finish_reason")


def _can_stream(model: Model, options: Mapping[str, Any]) -> bool:
    if model.chat_format == "chatml-function-calling":
        return not options.get("tools")
    return bool(model.chat_format != "functionary")


def _new(delta: Mapping[str, Any], begun: set[int]) -> dict[str, Any]:
    """What has not been said: the library repeats who calls, and says each call in two ways."""
    new = {
        name: value
        for name, value in delta.items()
        if value not in (None, "") and name != "function_call"
    }
    if "tool_calls" in new:
        new["tool_calls"] = [_new_call(*each, begun) for each in enumerate(new["tool_calls"])]
    return new


def _new_call(number: int, call: Mapping[str, Any], begun: set[int]) -> dict[str, Any]:
    index = call.get("index", number)
    if index in begun:
        return {"index": index, "function": {"arguments": call["function"]["arguments"]}}
    begun.add(index)
    return {"index": index, **call}


def _text_of(delta: Mapping[str, Any]) -> str:
    called = "".join(one["function"]["arguments"] for one in delta.get("tool_calls", ()))
    return str(delta.get("content", called))


def _translate_response_format(options: dict[str, Any]) -> None:
    """Make a grammar of a schema: where the library cannot, it would take any JSON instead."""
    wanted = options.get("response_format")
    if wanted is None:
        return
    kind = wanted["type"]
    if kind not in ("text", "json_object", "json_schema"):
        raise Refused("bad_request", f"there is no response_format {kind!r}")
    schema = wanted["json_schema"]["schema"] if kind == "json_schema" else wanted.get("schema")
    if schema is not None:
        options["grammar"] = grammars.from_schema(schema)
        del options["response_format"]
