"""JSON schemas before an engine gets them: no schema at all, or more than a grammar can say. Pure.

llama.cpp makes a grammar of a schema and leaves out without a sound what a grammar cannot say
(read in ``common/json-schema-to-grammar.cpp``, b11549).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_NO_GRAMMAR_SAYS = frozenset(
    {
        *("not", "if", "then", "else", "patternProperties", "propertyNames"),
        *("contains", "minContains", "maxContains", "unevaluatedItems", "unevaluatedProperties"),
        *("dependentRequired", "dependentSchemas", "$dynamicRef"),
    }
)
_ONLY_A_CHECK_SAYS = frozenset({"uniqueItems", "multipleOf", "minProperties", "maxProperties"})
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_HOLDING_SCHEMAS_BY_NAME = ("properties", "$defs", "definitions")
_HOLDING_VALUES = frozenset({"enum", "const", "default", "examples"})
_LOOKS_AROUND = re.compile(r"\(\?[=!<]|\\[bB1-9]")


def check_schema(schema: Any, what: str) -> None:
    """Raise ``MisuseError`` unless ``schema`` is a JSON schema; ``what`` names it to its author."""
    if not isinstance(schema, dict):
        raise MisuseError(reason=f"{what} is a {type(schema).__name__} and no JSON schema")
    try:
        text = json.dumps(schema)
    except (TypeError, ValueError) as error:
        raise MisuseError(reason=f"{what} cannot be written as JSON: {error}") from error
    fault = _fault(text)
    if fault:
        raise MisuseError(
            reason=f"{what} is no JSON schema: {fault}",
            hint="see https://json-schema.org/understanding-json-schema",
        )


def check_enforceable(schema: Mapping[str, Any], what: str, *, strict: bool) -> None:
    """Raise ``MisuseError`` for what a grammar cannot say.

    Bounds of numbers and the like, which whoever parses the answer can check as well, are refused
    only if ``strict``.
    """
    found = sorted(set(_beyond_a_grammar(schema, "", strict=strict)))
    if found:
        raise MisuseError(
            reason=f"{what} asks for what a grammar cannot enforce: {', '.join(found)}",
            hint="leave it out, and check the answer for it",
        )


@lru_cache(maxsize=256)
def _fault(text: str) -> str:
    # It takes 0.1 s to import, and most programs never need it.
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415

    try:
        Draft202012Validator.check_schema(json.loads(text))
    except SchemaError as error:
        where = "/".join(str(one) for one in error.absolute_path)
        return f"{error.message} (at {where or 'its top'})"
    return ""


def _beyond_a_grammar(schema: Any, path: str, *, strict: bool) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        here = f"{path}/{key}"
        if _is_beyond(key, schema, strict=strict):
            yield here
            continue
        for name, one in _schemas_under(key, value):
            yield from _beyond_a_grammar(one, f"{here}{name}", strict=strict)


def _schemas_under(key: str, value: Any) -> Iterable[tuple[str, Any]]:
    """Yield the schemas that a keyword holds, and where: a property may be called "not"."""
    if key in _HOLDING_VALUES:
        return ()
    if isinstance(value, list):
        return [(f"/{number}", one) for number, one in enumerate(value)]
    if key in _HOLDING_SCHEMAS_BY_NAME and isinstance(value, dict):
        return [(f"/{name}", one) for name, one in value.items()]
    return [("", value)]


def _is_beyond(key: str, schema: Mapping[str, Any], *, strict: bool) -> bool:
    value = schema[key]
    if key == "pattern":
        anchored = str(value).startswith("^") and str(value).endswith("$")
        return not anchored or bool(_LOOKS_AROUND.search(str(value)))
    if key in _NO_GRAMMAR_SAYS:
        return True
    bounds_no_integer = key in _BOUNDS and schema.get("type") != "integer"
    is_said = value is not None and value is not False  # a bound may be 0
    return strict and is_said and (key in _ONLY_A_CHECK_SAYS or bounds_no_integer)
