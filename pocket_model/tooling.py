"""Tools at work: a tool with its names chosen, a request, the call, the reply, the answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pocket_model import values
from pocket_model.families import (
    FAMILIES,
    NO_ARGUMENT_REQUESTS,
    NO_ARGUMENTS,
    Family,
    Slot,
    message,
)

if TYPE_CHECKING:
    from random import Random

_QUOTED = {"string"}
_NOTED = {
    "array": {"type": "array", "items": {"type": "string"}},
    "numbers": {"type": "array", "items": {"type": "number"}},
}
_OPTIONAL = (
    "unit",
    "limit",
    "language",
    "verbose",
    "format",
    "page",
    "lang",
    "timeout",
    "note",
    "mode",
    "run_manager",
)
_GENERIC = (
    "Use the tool {tool} with {pairs}|Call {tool} with {pairs}|{tool}({call})|Call {tool}({call})"
    "|Use {tool}: {pairs}|Run {tool} with {pairs}|Please call {tool} with {pairs}."
    "|What is {tool}({call})?|{words} with {pairs}|Invoke {tool} on {bare}|{words} {bare}"
    "|Please {words} {bare}|{words}: {bare}|{words} for {bare}|Can you {words} {bare}?"
    "|What is the value of {tool}({call})? Use the tool.|Use the {tool} tool to process {bare}"
).split("|")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool with its names chosen."""

    family: Family
    name: str
    parameters: tuple[str, ...]
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Use:
    """A request and the call that it wants."""

    tool: Tool
    request: str
    arguments: str
    shown: tuple[str, ...]

    @property
    def call(self) -> tuple[str, str]:
        """Name and arguments."""
        return self.tool.name, self.arguments


def made_up_name(random: Random) -> str:
    """Return a name of a tool that nobody has heard of."""
    parts = [
        random.choice((values.common, values.syllables, values.letters))(random)
        for _ in range(random.randint(1, 3))
    ]
    if random.random() < 0.12:
        return parts[0] + "".join(part.capitalize() for part in parts[1:])
    if random.random() < 0.1:
        return "".join(part.capitalize() for part in parts)
    return ("-" if random.random() < 0.05 else "_").join(parts)


def tool_of(random: Random, family: Family) -> Tool:
    """Choose names for a kind of tool."""
    name = random.choice(family.names)
    if random.random() < 0.12:
        name = random.choice(
            (
                f"{name}_{values.common(random)}",
                f"{values.letters(random)}_{name}",
                f"{name}{random.randint(1, 9)}",
            )
        )
    parameters: list[str] = []
    for slot in family.slots:
        taken = random.choice(
            [one for one in slot.names if one not in parameters] or [values.letters(random)]
        )
        if random.random() < 0.08:
            taken = random.choice(
                (
                    taken.capitalize(),
                    f"{taken}_{values.letters(random)[:3]}",
                    values.letters(random),
                )
            )
        parameters.append(taken)
    return Tool(
        family,
        name,
        tuple(parameters),
        schema_of(random, name, random.choice(family.descriptions), parameters, family.slots),
    )


def made_up(random: Random) -> Tool:
    """Make a tool that is like no other."""
    kinds = random.choices(
        ("string", "string", "string", "integer", "number", "boolean", "array"),
        k=random.choice((1, 1, 1, 2, 2, 3)),
    )
    makers = {
        "string": values.text,
        "integer": values.integer,
        "number": values.number,
        "boolean": lambda r: r.choice(("true", "false")),
        "array": values.word,
    }
    slots = tuple(
        Slot(
            (random.choice((values.common, values.letters, values.syllables))(random),),
            kind,
            makers[kind],
        )
        for kind in kinds
    )
    slots = tuple({slot.names[0]: slot for slot in slots}.values())
    name = made_up_name(random)
    words = name.replace("_", " ").replace("-", " ")
    about = random.choice(
        (f"{words.capitalize()}.", values.phrase(random).capitalize() + ".", "", message(random))
    )
    family = Family((name,), (about,), slots, tuple(_GENERIC))
    return Tool(
        family,
        name,
        tuple(slot.names[0] for slot in slots),
        schema_of(random, name, about, [s.names[0] for s in slots], slots),
    )


def without_arguments(random: Random) -> Tool:
    """Choose a tool that takes no arguments."""
    if random.random() < 0.4:
        name = made_up_name(random)
        about = random.choice((values.phrase(random).capitalize() + ".", ""))
    else:
        name, about = random.choice(NO_ARGUMENTS)
    family = Family((name,), (about,), (), NO_ARGUMENT_REQUESTS, ("{n}", "{m}", "ok"))
    return Tool(family, name, (), schema_of(random, name, about, [], ()))


def schema_of(
    random: Random, name: str, about: str, parameters: list[str], slots: tuple[Slot, ...]
) -> dict[str, Any]:
    """Return the tool as a client describes it to a server."""
    properties: dict[str, Any] = {}
    for parameter, slot in zip(parameters, slots, strict=True):
        properties[parameter] = dict(_NOTED.get(slot.type, {"type": slot.type}))
        if slot.enum:
            properties[parameter]["enum"] = list(slot.enum)
    required = list(properties)
    if random.random() < 0.15:
        extra = random.choice(_OPTIONAL)
        if extra not in properties:
            properties[extra] = random.choice(
                (
                    {"type": "string"},
                    {"type": "integer"},
                    {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    {"type": "boolean"},
                )
            )
    if random.random() < 0.2:
        about = about + "\n\n" + message(random)
    function: dict[str, Any] = {
        "name": name,
        "description": about,
        "parameters": {"type": "object", "properties": properties},
    }
    if required and random.random() < 0.95:
        function["parameters"]["required"] = required
    return {"type": "function", "function": function}


def any_tool(random: Random) -> Tool:
    """Choose any tool."""
    chance = random.random()
    if chance < 0.55:
        return tool_of(random, random.choice(FAMILIES))
    return made_up(random) if chance < 0.92 else without_arguments(random)


def some_tools(random: Random, tool: Tool, most: int = 4) -> list[dict[str, Any]]:
    """Return the tool among others, in any order."""
    count = random.choice((0, 0, 0, 1, 1, 2, random.randint(3, 3 + most // 4)))
    tools = [tool.schema]
    taken = {tool.name, *tool.family.names}
    while len(tools) <= count:
        other = any_tool(random)
        if other.name not in taken and other.family is not tool.family:
            tools.append(other.schema)
            taken.add(other.name)
    random.shuffle(tools)
    return tools


def json_value(kind: str, value: str) -> str:
    """Return a value as JSON writes it."""
    return json.dumps(value, ensure_ascii=False) if kind in _QUOTED else value


def drawn(random: Random, slot: Slot) -> tuple[str, str]:
    """Return a value as a request shows it, and as JSON."""
    if slot.type in _NOTED:
        items = [slot.make(random) for _ in range(random.randint(1, 4))]
        kind = "string" if slot.type == "array" else "number"
        return ", ".join(items), "[" + ", ".join(json_value(kind, one) for one in items) + "]"
    value = slot.make(random)
    return value, json_value(slot.type, value)


def arguments_of(tool: Tool, written: list[str]) -> str:
    """Return the arguments as the JSON of a call."""
    return (
        "{"
        + ", ".join(
            f'"{name}": {value}' for name, value in zip(tool.parameters, written, strict=True)
        )
        + "}"
    )


def use(random: Random, tool: Tool, forms: tuple[str, ...] = ()) -> Use:
    """Ask for a call of the tool."""
    pairs = [drawn(random, slot) for slot in tool.family.slots]
    shown = tuple(one for one, _ in pairs)
    generic = tool.family.slots and not forms and random.random() < 0.12
    form = random.choice(_GENERIC if generic else (forms or tool.family.requests))
    return Use(
        tool,
        worded(random, form, tool, shown, pairs),
        arguments_of(tool, [one for _, one in pairs]),
        shown,
    )


def worded(
    random: Random, form: str, tool: Tool, shown: tuple[str, ...], pairs: list[tuple[str, str]]
) -> str:
    """Fill a form of request."""
    link, gap = random.choice(
        (
            ("=", ", "),
            (" ", " and "),
            (": ", ", "),
            (" = ", " and "),
            (" set to ", ", "),
            (" '", "', "),
        )
    )
    named = list(zip(tool.parameters, shown, strict=True))
    end = "'" if link == " '" else ""
    words = tool.name.replace("_", " ").replace("-", " ")
    texts = {
        "tool": tool.name,
        "words": words if random.random() < 0.5 else words.capitalize(),
        "pairs": gap.join(f"{name}{link}{value}" for name, value in named) + end,
        "call": ", ".join(
            written if len(pairs) < 2 else f"{name}={written}"
            for (name, _), (_, written) in zip(named, pairs, strict=True)
        ),
        "bare": random.choice((", ", " and ")).join(shown),
        "s": values.phrase(random),
    }
    if len(shown) == 1 and random.random() < 0.1:
        shown = (random.choice(("'{}'", '"{}"')).format(shown[0]),)
    for name, text in texts.items():
        form = form.replace("{" + name + "}", text)
    parts = form.split("{")
    out = parts[0]
    for part in parts[1:]:
        number, closed, rest = part.partition("}")
        out += (
            (shown[int(number)] + rest)
            if closed and number.isdigit() and int(number) < len(shown)
            else "{" + part
        )
    return out


def reply_to(random: Random, used: Use) -> str:
    """Return what the tool says."""
    forms = used.tool.family.replies
    if not forms or random.random() < 0.3:
        return random.choice(
            (
                values.number(random),
                values.text(random),
                message(random).capitalize() + ".",
                values.word(random),
                values.unicode(random),
                json.dumps({"result": values.text(random)}, ensure_ascii=False),
                '{"result": ' + values.number(random) + "}",
                json.dumps(
                    {
                        values.word(random): values.word(random),
                        values.word(random): random.randint(0, 999),
                    }
                ),
                f"{values.name(random)} {message(random)}.",
                ". ".join(message(random).capitalize() for _ in range(2)) + ".",
            )
        )
    form = random.choice(forms)
    for key, text in {
        "{n}": values.number(random),
        "{m}": message(random).capitalize() + ".",
        "{p}": values.name(random),
        "{w}": values.word(random),
    }.items():
        form = form.replace(key, text)
    for number, value in enumerate(used.shown):
        form = form.replace("{" + str(number) + "}", value)
    return form


def told(replied: str) -> str:
    """Return how the answer tells what one tool has said."""
    for start in ("Error: ", "error: ", "ERROR: "):
        if replied.startswith(start):
            return "The tool failed: " + replied.removeprefix(start)
    try:
        # Numbers stay as they are written.
        value = json.loads(replied, parse_float=str, parse_int=str)
    except ValueError:
        return replied
    match value:
        case dict():
            return " ".join(
                f"The {key} is {one if isinstance(one, str) else json.dumps(one)}."
                for key, one in value.items()
            )
        case list():
            return (
                ", ".join(one if isinstance(one, str) else json.dumps(one) for one in value)
                or "There is nothing."
            )
    return f"The result is {replied}."
