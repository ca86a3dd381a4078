"""Schemas: what is none, what a grammar cannot say, and definitions that must be found again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import BaseModel, Field

from safe_llm.engines.call_schema import any_of, schema_of_a_call, with_definitions_on_top
from safe_llm.engines.schemas import check_enforceable, check_schema
from safe_llm.errors import MisuseError


class Leg(BaseModel):
    town: str
    then: Leg | None = None


class Journey(BaseModel):
    definitions: int
    legs: list[Leg]
    cost: float = Field(ge=0)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ([], "is a list and no JSON schema"),
        ({"type": "nonsense"}, "is not valid under any of the given schemas (at type)"),
        ({"properties": {"a": {"type": 3}}}, "(at properties/a/type)"),
        ({"default": object()}, "cannot be written as JSON"),
    ],
)
def test_what_is_no_schema_says_where(schema: Any, text: str) -> None:
    with pytest.raises(MisuseError, match=re.escape(text)):
        check_schema(schema, "it")


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"not": {}}, "/not"),
        ({"properties": {"a": {"if": {}}}}, "/properties/a/if"),
        ({"pattern": "(?=x)y"}, "/pattern"),
        ({"pattern": "x"}, "/pattern"),
        ({"anyOf": [{"patternProperties": {}}]}, "/anyOf/0/patternProperties"),
        ({"items": {"$defs": {"x": {"contains": {}}}}}, "/items/$defs/x/contains"),
    ],
)
def test_what_a_grammar_cannot_say_is_refused(schema: dict[str, Any], where: str) -> None:
    with pytest.raises(MisuseError) as caught:
        check_enforceable(schema, "it", strict=False)
    assert caught.value.reason.endswith(f"cannot enforce: {where}")


def test_bounds_that_a_parser_checks_as_well_are_refused_to_the_strict_alone() -> None:
    check_enforceable(Journey.model_json_schema(), "it", strict=False)
    with pytest.raises(MisuseError, match="/properties/cost/minimum"):
        check_enforceable(Journey.model_json_schema(), "it", strict=True)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 0},
        {"pattern": "^[a-z]+$"},
        {"properties": {"not": {"type": "string"}, "pattern": {"type": "integer"}}},
        {"enum": [{"not": 1}]},
    ],
)
def test_what_a_grammar_can_say_is_not(schema: dict[str, Any]) -> None:
    check_enforceable(schema, "it", strict=True)


def test_definitions_of_two_tools_do_not_meet() -> None:
    one, other = Journey.model_json_schema(), Leg.model_json_schema()
    calls = [
        schema_of_a_call(name, {"parameters": parameters})
        for name, parameters in (("plan", one), ("go", other))
    ]
    whole = with_definitions_on_top(any_of(calls))
    assert len(whole["$defs"]) == 2
    texts = re.findall(r"'#/\$defs/(\w+)'", str(whole))
    assert set(texts) == set(whole["$defs"])
    assert "'$defs'" not in str(whole["anyOf"])
    # A property may be called so too.
    plan = whole["anyOf"][0]["properties"]["arguments"]
    assert plan["properties"]["definitions"] == {"title": "Definitions", "type": "integer"}
