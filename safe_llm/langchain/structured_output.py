"""Answers in a shape that the caller chose: what is bound for it, and who parses the answer.

All three methods are enforced by a grammar: a call of a tool of that shape, a JSON schema, or any
JSON. What the grammar cannot say of a schema, pydantic checks.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, get_args

from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import (
    JsonOutputKeyToolsParser,
    PydanticToolsParser,
)
from langchain_core.runnables import RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass

from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.runnables import Runnable

Method = Literal["json_schema", "function_calling", "json_mode"]
Schema = dict[str, Any] | type


def check_method(schema: Schema | None, method: str, *, strict: bool | None) -> None:
    """Raise ``MisuseError`` for what cannot be meant."""
    if method not in get_args(Method):
        raise MisuseError(
            reason=f"method={method!r} is not known",
            hint=f"there are {', '.join(get_args(Method))}",
        )
    if schema is None and method != "json_mode":
        raise MisuseError(reason=f"method={method!r} needs a schema", hint="or say 'json_mode'")
    if strict and method == "json_mode":
        raise MisuseError(reason="json_mode has no schema that could be strict")


def response_format(schema: Schema, *, strict: bool | None = None) -> dict[str, Any]:
    """Return OpenAI's ``response_format`` for a schema in any form that LangChain knows."""
    given = _given(schema) if isinstance(schema, dict) else None
    described = given or _described(convert_to_json_schema(schema))
    return {
        "type": "json_schema",
        "json_schema": described if strict is None else {**described, "strict": strict},
    }


def _given(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is in OpenAI's form already: the whole format, or its inner part."""
    inner = schema.get("json_schema") if schema.get("type") == "json_schema" else schema
    if isinstance(inner, dict) and isinstance(inner.get("schema"), dict) and "name" in inner:
        return dict(inner)
    return None


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": str(schema.get("title") or "answer"), "schema": schema}


def as_tool(schema: Schema, *, strict: bool | None) -> dict[str, Any]:
    """Return the tool whose call is the answer."""
    given = _given(schema) if isinstance(schema, dict) else None
    if given is None:
        return convert_to_openai_tool(schema, strict=strict)
    described = {"name": given["name"], "parameters": given["schema"]}
    return {"type": "function", "function": described}


def parser_of(schema: Schema | None, method: Method) -> Runnable[Any, Any]:
    """Return what makes an instance of the schema of a message, or a dict where it is one."""
    model: Any = schema if isinstance(schema, type) and is_basemodel_subclass(schema) else None
    if method == "function_calling":
        assert schema is not None
        if model is not None:
            return PydanticToolsParser(tools=[model], first_tool_only=True)
        name = as_tool(schema, strict=None)["function"]["name"]
        return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)
    if model is not None:
        return PydanticOutputParser(pydantic_object=model)
    return JsonOutputParser()


def with_raw(model: Runnable[Any, Any], parser: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Return what gives the message, what was parsed of it, and the error where that failed."""
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
    )
    nothing = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | parsed.with_fallbacks([nothing], exception_key="parsing_error")
