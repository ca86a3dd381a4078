"""Conversations with tools: when to call, what with, and what to say afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pocket_model import bare, chat, tooling, values
from pocket_model.conversation import answer, calls, reply, talk, user
from pocket_model.families import FAMILIES, Family, message

if TYPE_CHECKING:
    from random import Random

    from pocket_model.conversation import Conversation
    from pocket_model.tooling import Tool, Use

_BY_NAME = {family.names[0]: family for family in FAMILIES}
_WHAT_FAILED = (
    "Missing required argument '{w}'.",
    "timeout",
    "not found",
    "{w} is not valid",
    "division by zero",
    "no such {w}",
    "permission denied",
    "invalid input: {w}",
    "the service is down",
    "got {n}, expected {w}",
)


def call(random: Random) -> Conversation:
    """A request that one call answers; maybe with the answer afterwards."""
    tool = tooling.any_tool(random)
    used = tooling.use(random, tool)
    messages: list[dict[str, Any]] = chat.preface(random, 0.25)
    if random.random() < 0.1:
        asked, said = chat.pair(random)
        messages += [user(asked), answer(said)]
    request = used.request
    if random.random() < 0.1:
        request = random.choice(
            (
                "Please: {}",
                "{} Use the tool.",
                "{} please",
                "Use a tool: {}",
                "{}\n",
                "Hi! {}",
                "I need this: {}",
            )
        ).format(request)
    messages += [user(request), calls(used.call)]
    if random.random() < 0.35:
        messages += _answered(random, used)
    return talk(*messages, tools=tooling.some_tools(random, tool))


def _answered(random: Random, used: Use) -> list[dict[str, Any]]:
    if random.random() < 0.12:
        error = _error(random)
        return [reply(error), answer(tooling.told(error))]
    replied = tooling.reply_to(random, used)
    return [reply(replied), answer(tooling.told(replied))]


def _error(random: Random) -> str:
    text = (
        random.choice(_WHAT_FAILED)
        .replace("{w}", values.word(random))
        .replace("{n}", values.number(random))
    )
    return random.choice(("Error: ", "Error: ", "error: ")) + text


def again(random: Random) -> Conversation:
    """Several requests in a row, each with call, reply and answer; few-shot examples too."""
    tool = tooling.any_tool(random)
    others = tooling.some_tools(random, tool, 2)
    messages: list[dict[str, Any]] = chat.preface(random, 0.2)
    raw = random.random() < 0.3
    for _ in range(random.randint(1, 2)):
        used = tooling.use(random, tool)
        replied = tooling.reply_to(random, used)
        messages += [
            user(used.request),
            calls(used.call),
            reply(replied),
            answer(replied if raw else tooling.told(replied)),
        ]
    used = tooling.use(random, tool)
    messages.append(user(used.request))
    messages.append(calls(used.call))
    if random.random() < 0.3:
        messages += _answered(random, used)
    return talk(*messages, tools=others)


def parallel(random: Random) -> Conversation:
    """Two or three calls in one answer."""
    if random.random() < 0.7:
        with_short = [family for family in FAMILIES if family.short]
        tool = tooling.tool_of(random, random.choice(with_short))
        uses = [tooling.use(random, tool, tool.family.requests)]
        uses += [
            tooling.use(random, tool, tool.family.short) for _ in range(random.choice((1, 1, 2)))
        ]
        gap = random.choice((" ", ", "))
        request = uses[0].request.rstrip("?.") + gap + gap.join(one.request for one in uses[1:])
        request += random.choice(("", "?", "."))
        tools = tooling.some_tools(random, tool, 3)
    else:
        first, second = tooling.any_tool(random), tooling.any_tool(random)
        if first.name == second.name or not first.parameters:
            return call(random)
        uses = [tooling.use(random, first), tooling.use(random, second)]
        request = (
            uses[0].request
            + random.choice((" And ", " Also: ", ", and ", "\n", " and also "))
            + uses[1].request
        )
        tools = [
            one
            for one in tooling.some_tools(random, first, 1)
            if one["function"]["name"] != second.name
        ] + [second.schema]
        random.shuffle(tools)
    messages = [user(request), calls(*(one.call for one in uses))]
    if random.random() < 0.4:
        replies = [tooling.reply_to(random, one) for one in uses]
        messages += [reply(one) for one in replies]
        messages.append(answer(" ".join(tooling.told(one) for one in replies)))
    return talk(*messages, tools=tools)


def chain(random: Random) -> Conversation:
    """A second call that needs the reply to the first."""
    if random.random() < 0.4:
        return _sums(random)
    if random.random() < 0.5:
        return _looked_up(random)
    first, second = tooling.any_tool(random), tooling.any_tool(random)
    if first.name == second.name or not first.parameters or not second.parameters:
        return _sums(random)
    one, two = tooling.use(random, first), tooling.use(random, second)
    then = random.choice(
        (" Then ", ", then ", " After that, ", ". Then: ", " and then ", "\nThen ")
    )
    replied, last = tooling.reply_to(random, one), tooling.reply_to(random, two)
    return talk(
        user(random.choice(("", "", "First ")) + one.request + then + two.request),
        calls(one.call),
        reply(replied),
        calls(two.call),
        reply(last),
        answer(tooling.told(last)),
        tools=_both(random, first, second),
    )


def _both(random: Random, first: Tool, second: Tool) -> list[dict[str, Any]]:
    tools = [first.schema, second.schema]
    if random.random() < 0.3:
        extra = tooling.any_tool(random)
        if extra.name not in (first.name, second.name) and extra.family not in (
            first.family,
            second.family,
        ):
            tools.append(extra.schema)
    random.shuffle(tools)
    return tools


def _sums(random: Random) -> Conversation:
    first = tooling.tool_of(random, _BY_NAME[random.choice(("add", "multiply", "subtract"))])
    second = tooling.tool_of(random, _BY_NAME[random.choice(("multiply", "add", "divide"))])
    if first.name == second.name:
        return call(random)
    one = tooling.use(random, first, first.family.requests)
    number, between = values.integer(random), values.number(random)
    verb = {
        "multiply": "multiply {it} by {n}",
        "add": "add {n} to {it}",
        "divide": "divide {it} by {n}",
    }[second.family.names[0]]
    it = random.choice(("the result", "it", "that", "the answer"))
    request = one.request.rstrip("?.") + random.choice(
        (", then ", " and then ", ". Then ", " and ")
    )
    request += verb.replace("{it}", it).replace("{n}", number) + random.choice(("", ".", "?"))
    last = values.number(random)
    written = tooling.arguments_of(second, [between, number])
    first_reply = random.choice((between, '{"result": ' + between + "}"))
    last_reply = random.choice((last, '{"result": ' + last + "}"))
    return talk(
        *chat.preface(random, 0.2),
        user(request),
        calls(one.call),
        reply(first_reply),
        calls((second.name, written)),
        reply(last_reply),
        answer(tooling.told(last_reply)),
        tools=_both(random, first, second),
    )


def _looked_up(random: Random) -> Conversation:
    what = random.choice(("id", "number", "code", "address", "key", values.letters(random)))
    about = random.choice(
        ("balance", "status", "price", "details", "orders", values.common(random))
    )
    who = random.choice((values.name, values.word, values.place))(random)
    found = random.choice((values.digits, values.code, values.integer, values.word))(random)
    kind = (
        "integer"
        if found.isdigit() and str(int(found)) == found and random.random() < 0.6
        else "string"
    )
    first = {
        "name": f"{random.choice(('get', 'find', 'lookup'))}_{what}",
        "parameters": random.choice(("name", "user", "person", "of")),
    }
    second = {
        "name": f"{random.choice(('get', 'fetch', 'show'))}_{about}",
        "parameters": random.choice((what, f"{what}_value", "key2")),
    }

    def schema(one: dict[str, str], type_: str) -> dict[str, Any]:
        return {
            "type": "function",
            "function": {
                "name": one["name"],
                "description": one["name"].replace("_", " ").capitalize() + ".",
                "parameters": {
                    "type": "object",
                    "properties": {one["parameters"]: {"type": type_}},
                    "required": [one["parameters"]],
                },
            },
        }

    last = random.choice((values.number(random), values.word(random), message(random)))
    form = random.choice(
        (
            "Get the {what} of {who}, then show the {about} for it",
            "Find the {what} of {who} and then its {about}",
            "What is the {about} of {who}? First look up the {what}.",
            "Look up the {what} for {who}, then get the {about}",
        )
    )
    tools = [schema(first, "string"), schema(second, kind)]
    random.shuffle(tools)
    first_reply = random.choice(
        (found, f"The {what} is {found}.", f'{{"{what}": {tooling.json_value(kind, found)}}}')
    )
    return talk(
        user(form.format(what=what, who=who, about=about)),
        calls((first["name"], f'{{"{first["parameters"]}": {tooling.json_value("string", who)}}}')),
        reply(first_reply),
        calls((second["name"], f'{{"{second["parameters"]}": {tooling.json_value(kind, found)}}}')),
        reply(last),
        answer(tooling.told(last)),
        tools=tools,
    )


def none(random: Random) -> Conversation:
    """Tools are offered, and the question needs none of them."""
    tool = tooling.any_tool(random)
    tools = tooling.some_tools(random, tool)
    messages = chat.preface(random, 0.3)
    if random.random() < 0.15:
        return talk(*messages, *_used_before(random, tool), tools=tools)
    for _ in range(random.choice((1, 1, 1, 2))):
        asked, said = random.choice(chat.SIMPLE)(random)
        messages += [user(asked), answer(said)]
    return talk(*messages, tools=tools)


def _used_before(random: Random, tool: Tool) -> list[dict[str, Any]]:
    used = tooling.use(random, tool)
    replied = tooling.reply_to(random, used)
    asked, said = random.choice(chat.SIMPLE)(random)
    return [
        user(used.request),
        calls(used.call),
        reply(replied),
        answer(tooling.told(replied)),
        user(asked),
        answer(said),
    ]


def _plausible(kind: str, said: str, enum: tuple[str, ...] = ()) -> str:
    if enum:
        return tooling.json_value("string", enum[0])
    return {"integer": "1", "number": "1", "boolean": "true", "array": "[]", "numbers": "[]"}.get(
        kind, tooling.json_value("string", said)
    )


def forced(random: Random) -> Conversation:
    """The engine enforces a call though nothing was asked for: the first tool, what there is."""
    family = random.choice(FAMILIES)
    tool = tooling.tool_of(random, family) if random.random() < 0.6 else tooling.made_up(random)
    asked, _ = random.choice(chat.SIMPLE)(random)
    written = [_plausible(slot.type, asked, slot.enum) for slot in tool.family.slots]
    others = [one for one in tooling.some_tools(random, tool, 2) if one is not tool.schema]
    said = calls((tool.name, tooling.arguments_of(tool, written)))
    messages = [*chat.preface(random, 0.1), user(asked), said]
    conversation = talk(*messages, tools=[tool.schema, *others])
    return bare.bare(conversation, listed=random.random() < 0.3)


def copied(random: Random) -> Conversation:
    """Many arguments that nobody can guess: nothing but copying."""
    tool = tooling.made_up(random)
    used = tooling.use(random, tool)
    return talk(user(used.request), calls(used.call), tools=tooling.some_tools(random, tool, 2))


def family_of(name: str) -> Family:
    """Return the kind of tool whose first name is ``name``."""
    return _BY_NAME[name]
