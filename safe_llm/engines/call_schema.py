"""The JSON schema of an answer that is a call of a tool. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safe_llm.engines.schemas import check_enforceable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEFINITIONS = ("$defs", "definitions")


def schema_of_a_call(name: str, function: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``ForcedCalls`` reads; raise ``MisuseError`` for what no grammar can enforce."""
    arguments = function.get("parameters") or {"type": "object", "properties": {}}
    check_enforceable(arguments, f"the parameters of tool {name!r}", strict=False)
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def any_of(schemas: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of what fits one of them."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}


def with_definitions_on_top(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with all definitions at its top, where its references look for them."""
    lifting = _Lifting()
    top: dict[str, Any] = lifting.lifted(schema, {})
    return {**top, "$defs": lifting.definitions} if lifting.definitions else top


class _Lifting:
    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def lifted(self, part: Any, names: Mapping[str, str]) -> Any:
        """Return a schema without definitions; ``names`` are those of the schemas around it."""
        if isinstance(part, list):
            return [self.lifted(one, names) for one in part]
        if not isinstance(part, dict):
            return part
        own = {name: one for kind in _DEFINITIONS for name, one in (part.get(kind) or {}).items()}
        # Two tools may each have a definition of the same name.
        names = {**names, **{name: f"{name}_{self._number(name)}" for name in own}}
        self.definitions |= {names[name]: self.lifted(one, names) for name, one in own.items()}
        rest = {key: one for key, one in part.items() if key not in _DEFINITIONS}
        return {key: self._value(key, one, names) for key, one in rest.items()}

    def _number(self, name: str) -> int:
        number = len(self.definitions)
        self.definitions[f"{name}_{number}"] = {}  # its place, while what is in it is lifted
        return number

    def _value(self, key: str, value: Any, names: Mapping[str, str]) -> Any:
        if key == "properties" and isinstance(value, dict):  # one may be called "definitions"
            return {name: self.lifted(one, names) for name, one in value.items()}
        if key == "$ref":
            name = str(value).rpartition("/")[2]
            return f"#/$defs/{names[name]}" if name in names else value
        return self.lifted(value, names)
