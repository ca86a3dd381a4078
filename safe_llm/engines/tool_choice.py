"""Tools in a chat, whatever the engine and the model: who may call, and who must. Pure.

Measured on llama-server b11549: ``tool_choice`` "required" gives plain text, also with a template
that knows tools, and a named tool means "auto". So what must be called is written as a JSON schema
of the answer, which every engine enforces; the template still shows the tools to the model. Where
a template knows no tools they are told in words. Where the engine reads no calls, it is done here.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from safe_llm.engines.base import ChatChunk
from safe_llm.engines.call_schema import any_of, schema_of_a_call, with_definitions_on_top
from safe_llm.engines.schemas import check_enforceable, check_schema
from safe_llm.engines.tools_in_words import in_words
from safe_llm.errors import MisuseError
from safe_llm.protocol.tool_calls import ForcedCalls, MarkedCalls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from safe_llm.engines.base import ModelDescription
    from safe_llm.protocol.tool_calls import CallScanner

_CONSTRAINTS = ("response_format", "grammar", "json_schema")
_MUST = ("required", "any")

Tools = dict[str, dict[str, Any]]


class ToolReader:
    """The chunks of an answer, with the calls that are in its text."""

    def __init__(self, scanner: CallScanner | None = None) -> None:
        self._scanner = scanner

    def take(self, chunk: ChatChunk) -> Iterable[ChatChunk]:
        """Return the chunk as it is, or what its text says."""
        return [chunk] if self._scanner is None else self._scanned(chunk, self._scanner)

    def _scanned(self, chunk: ChatChunk, scanner: CallScanner) -> Iterator[ChatChunk]:
        deltas = scanner.feed(str(chunk.delta.get("content") or ""))
        reason = chunk.finish_reason
        if reason is not None:
            deltas += scanner.finish()
            reason = "tool_calls" if reason == "stop" and scanner.calls else reason
        others = {name: value for name, value in chunk.delta.items() if name != "content"}
        if others or chunk.logprobs or (reason and not deltas):
            deltas.insert(0, others)
        for number, delta in enumerate(deltas):
            logprobs = () if number else chunk.logprobs
            if number < len(deltas) - 1 or reason is None:
                yield ChatChunk(delta, logprobs)
            else:
                yield ChatChunk(delta, logprobs, reason, chunk.usage, chunk.timings)


def plan_tools(
    body: Mapping[str, Any], model: ModelDescription | None
) -> tuple[dict[str, Any], ToolReader]:
    """Return the body that asks the engine for what ``body`` asks for, and who reads the answer.

    ``tool_choice`` is "auto", "none", "required" (or "any"), the name of a tool, or OpenAI's
    object; ``parallel_tool_calls`` allows several calls in one answer. The ``model`` need not be
    known where there are no tools. Raises ``MisuseError`` for tools, choices and schemas that
    cannot be meant.
    """
    planned = {name: value for name, value in body.items() if value is not None}
    _check_response_format(planned.get("response_format"))
    tools = _checked(planned.get("tools") or [])
    choice = _choice(planned.pop("tool_choice", None) or "auto", tools)
    if model is None or not tools:
        planned.pop("tools", None)
        planned.pop("parallel_tool_calls", None)
        return planned, ToolReader()
    if choice == "none":
        planned.pop("parallel_tool_calls", None)
        return _shown({**planned, "tool_choice": "none"}, tools, model), ToolReader()
    wanted = planned.get("response_format", {}).get("type", "text")
    if choice == "auto" and wanted == "text":
        return _free(planned, tools, model)
    return _forced(planned, tools, choice, model)


def _free(
    planned: dict[str, Any], tools: Tools, model: ModelDescription
) -> tuple[dict[str, Any], ToolReader]:
    """The model decides; the calls are in its text, in the form of its template."""
    if model.shows_tools and model.reads_calls:
        return {"parallel_tool_calls": True, **planned}, ToolReader()
    planned.pop("parallel_tool_calls", None)
    return _shown(planned, tools, model), ToolReader(MarkedCalls(_new_id))


def _forced(
    planned: dict[str, Any], tools: Tools, choice: str, model: ModelDescription
) -> tuple[dict[str, Any], ToolReader]:
    """A grammar leaves nothing but calls, or nothing but calls and the format of the answer."""
    may_answer = choice == "auto"
    others = [name for name in _CONSTRAINTS if planned.get(name) and not may_answer]
    if others:
        raise MisuseError(
            reason=f"tool_choice forces a call, and {others[0]} forces something else",
            hint="keep one of them",
        )
    names = [choice] if choice in tools else list(tools)
    calls = [schema_of_a_call(name, tools[name]) for name in names]
    if planned.pop("parallel_tool_calls", False):
        calls = [{"type": "array", "items": any_of(calls), "minItems": 1}]
    if may_answer:
        calls.append(_answer_schema(planned["response_format"]))
    schema = with_definitions_on_top(any_of(calls))
    planned["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": "calls", "schema": schema},
    }
    # "auto" would have the server read the JSON as text that may hold calls.
    planned["tool_choice"] = "none"
    reader = ToolReader(ForcedCalls(_new_id, frozenset(names)))
    return _shown(planned, tools, model), reader


def _new_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


def _shown(planned: dict[str, Any], tools: Tools, model: ModelDescription) -> dict[str, Any]:
    """Return a body that shows the tools to the model, by its template or in words."""
    if model.shows_tools:
        return planned
    told = {name: value for name, value in planned.items() if name not in ("tools", "tool_choice")}
    return {**told, "messages": in_words(planned.get("messages") or (), tools.values())}


# -- what may be said


def _checked(tools: Sequence[Any]) -> Tools:
    found: Tools = {}
    for number, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(function, dict) or not isinstance(name, str) or not name:
            raise MisuseError(
                reason=f"tool {number} is no function with a name: {tool!r:.200}",
                hint='a tool is {"type": "function", "function": {"name", "parameters"}}',
            )
        if name in found:
            raise MisuseError(reason=f"two tools are called {name!r}", hint="rename one of them")
        check_schema(function.get("parameters") or {}, f"the parameters of tool {name!r}")
        found[name] = function
    return found


def _choice(said: Any, tools: Tools) -> str:
    """Return "auto", "none", "required" or the name of a tool."""
    name = said
    if isinstance(said, dict):
        name = (said.get("function") or said).get("name") or said.get("type")
    elif said is True:
        name = "required"
    if name in ("auto", "none") or (name in _MUST and tools):
        return "required" if name in _MUST else str(name)
    if name not in tools:
        known = ", ".join(repr(one) for one in tools) or "none"
        raise MisuseError(
            reason=f"tool_choice={said!r} names no tool of this call",
            hint=f"there are: {known}; or say 'auto', 'none', 'required'",
        )
    return str(name)


def _check_response_format(said: Any) -> None:
    if said is None:
        return
    kind = said.get("type") if isinstance(said, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        raise MisuseError(
            reason=f"response_format={said!r:.200} is none",
            hint='its "type" is "text", "json_object" or "json_schema"',
        )
    schema = _answer_schema(said)
    if kind == "json_schema" or said.get("schema"):
        check_schema(schema, "the schema of response_format")
        strict = bool((said.get("json_schema") or {}).get("strict"))
        check_enforceable(schema, "the schema of response_format", strict=strict)


def _answer_schema(response_format: Mapping[str, Any]) -> Any:
    said = response_format.get("json_schema") or {}
    return said.get("schema", response_format.get("schema") or {"type": "object"})
