"""Answers in JSON: asked for in words, by a schema in the prompt, or enforced without a word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pocket_model import chat, facts, tooling, values
from pocket_model.conversation import FREE, GIVEN, answer, calls, given, system, talk, user
from pocket_model.families import message
from pocket_model.records import SORTS

if TYPE_CHECKING:
    from random import Random

    from pocket_model.conversation import Conversation
    from pocket_model.records import Property, Sort

Field = tuple[str, str, str]  # name, JSON type, value as JSON

FORMAT_INSTRUCTIONS = (
    "The output should be formatted as a JSON instance that conforms to the JSON schema below.\n\n"
    'As an example, for the schema {"properties": {"foo": {"title": "Foo", "description": "a list'
    ' of strings", "type": "array", "items": {"type": "string"}}}, "required": ["foo"]}\nthe object'
    ' {"foo": ["bar", "baz"]} is a well-formatted instance of the schema. The object {"properties":'
    ' {"foo": ["bar", "baz"]}} is not well-formatted.\n\nHere is the output '
    "schema:\n```\n{schema}\n```"
)
LLAMA_INDEX = (
    "\n\nHere's a JSON schema to follow:\n{schema}\n\nOutput a valid JSON object but do not repeat"
    " the schema.\n"
)


def sentences(random: Random, sort: Sort, subject: str, chosen: list[tuple[Property, str]]) -> str:
    """Say of something what its properties are."""
    style = random.random()
    if style < 0.15:
        link, gap = random.choice(((": ", ", "), (": ", "\n"), (" = ", "; ")))
        pairs = [(sort.names[0], subject), *((one.names[0], value) for one, value in chosen)]
        return gap.join(f"{key}{link}{value}" for key, value in pairs)
    said = [random.choice(one.said).replace("{}", value) for one, value in chosen]
    if style < 0.3:
        return f"{subject} " + ". It ".join(said) + "."
    if len(said) == 1:
        text = f"{subject} {said[0]}"
    else:
        text = f"{subject} " + ", ".join(said[:-1]) + random.choice((" and ", ", and ")) + said[-1]
    if sort.make is values.name and random.random() < 0.12 and said[0].startswith("is "):
        text = (
            f"My name is {subject} and I am " + text.split(" is ", 1)[1] if " is " in text else text
        )
    return text + random.choice((".", ".", ".", "", "!"))


def record(random: Random) -> tuple[Sort, str, list[Field]]:
    """Return a sort of thing, a text about one, and what is in it as fields."""
    sort = random.choice((SORTS[0], SORTS[0], SORTS[0], *SORTS[1:]))
    subject = sort.make(random)
    chosen = [
        (one, one.make(random))
        for one in random.sample(sort.properties, k=random.randint(1, min(4, len(sort.properties))))
    ]
    text = sentences(random, sort, subject, chosen)
    fields: list[Field] = [
        (random.choice(sort.names), "string", json.dumps(subject, ensure_ascii=False))
    ]
    taken = {fields[0][0]}
    for one, value in chosen:
        free = [name for name in one.names if name not in taken]
        if not free:
            continue
        name = random.choice(free) if random.random() < 0.3 else free[0]
        taken.add(name)
        kind = one.type
        if kind in ("integer", "number") and random.random() < 0.1:
            kind = "string"
        fields.append((name, kind, tooling.json_value(kind, value)))
    if random.random() < 0.3:
        random.shuffle(fields)
    if len(fields) > 1 and random.random() < 0.2:
        fields.pop()
    return sort, text, fields


def written(fields: list[Field], *, blind: bool = False) -> str:
    """Return fields as a JSON object; ``blind`` where a grammar enforces the keys."""
    if not blind:
        return "{" + ", ".join(f'"{name}": {value}' for name, _, value in fields) + "}"
    out, before = "", "{"
    for name, _, value in fields:
        quote = '"' if value.startswith('"') else ""
        out += GIVEN + f'{before}"{name}": {quote}' + FREE + value[len(quote) :]
        before = ", "
    return out + "}"


def schema_of(random: Random, title: str, fields: list[Field]) -> dict[str, Any]:
    """Return the JSON schema of fields, more or less as pydantic writes it."""
    properties = {
        name: {"title": name.replace("_", " ").title(), "type": kind} for name, kind, _ in fields
    }
    if random.random() < 0.5:
        properties = {name: {"type": kind} for name, kind, _ in fields}
    if random.random() < 0.3:
        for name in properties:
            properties[name]["description"] = f"The {name.replace('_', ' ')}."
    schema: dict[str, Any] = {"properties": properties, "required": list(properties)}
    if random.random() < 0.6:
        schema["title"] = title
    schema["type"] = "object"
    return schema


def extracted(random: Random) -> Conversation:
    """Values out of a text, with the keys named in the prompt."""
    sort, text, fields = record(random)
    if random.random() < 0.15:
        fields.append(_missing(random, fields))
    return _asked_for(random, random.choice(sort.titles), text, fields)


def _missing(random: Random, fields: list[Field]) -> Field:
    name = random.choice(("country", "note", "summary_id", "zip", "gender", values.letters(random)))
    taken = {one for one, _, _ in fields}
    return (name if name not in taken else "extra", "string", '"unknown"')


def _asked_for(random: Random, title: str, text: str, fields: list[Field]) -> Conversation:
    names = [name for name, _, _ in fields]
    listed = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
    quoted = (
        " and ".join(f"'{name}'" for name in names)
        if len(names) < 3
        else ", ".join(f"'{name}'" for name in names)
    )
    schema = json.dumps(schema_of(random, title, fields), ensure_ascii=False)
    shape = (
        "{"
        + ", ".join(
            f'"{name}": "..."' if kind == "string" else f'"{name}": 0' for name, kind, _ in fields
        )
        + "}"
    )
    typed = ", ".join(f"{name} ({kind})" for name, kind, _ in fields)
    said = answer(written(fields))
    form = random.choice(
        (
            "Extract {listed} from: {text}",
            "Extract the {listed} from this text: {text}",
            "Extract {listed} as JSON: {text}",
            "{text} Return a JSON with {quoted} keys.",
            "{text}\nReturn the result as a JSON with {quoted} keys. Return nothing but JSON.",
            "Return JSON with the keys {quoted}. {text}",
            "Give me JSON with {listed}: {text}",
            "{text}\n\nAnswer in JSON like {shape}",
            "Reply with JSON of the form {shape}. {text}",
            "Fill in {shape} from: {text}",
            "Extract {typed} from the text: {text}",
            "{text}\nJSON with {listed}:",
            "Extract {listed} from: {text} Answer in JSON.",
            "JSON ({listed}): {text}",
        )
    )
    if random.random() < 0.3:
        schema_form = random.choice(
            (
                "Answer in JSON that matches this schema: {schema}\n{text}",
                "{text}\nJSON schema: {schema}",
                "Extract the data as JSON by this schema:\n{schema}\n\n{text}",
                "{text}\nSchema: {schema}",
                "Fill this schema: {schema}\n{text}",
                "{text}" + LLAMA_INDEX,
                random.choice((LLAMA_INDEX, "\n" + FORMAT_INSTRUCTIONS)).join(("{text}", "")),
            )
        )
        form = schema_form
    filled = form
    for key, value in (
        ("listed", listed),
        ("quoted", quoted),
        ("shape", shape),
        ("typed", typed),
        ("schema", schema),
        ("text", text),
    ):
        filled = filled.replace("{" + key + "}", value)
    if random.random() < 0.15:
        head = random.choice(
            (
                f"Extract {listed} as JSON.",
                f"Answer in JSON with the keys {quoted}.",
                f"Answer in JSON that matches this schema: {schema}",
            )
        )
        return talk(system(head), user(text), said)
    return talk(*chat.preface(random, 0.15), user(filled), said)


def blind(random: Random) -> Conversation:
    """A grammar enforces keys of which the prompt says nothing."""
    sort, text, fields = record(random)
    if random.random() < 0.3:
        fields.append(_free_text(random, text, {name for name, _, _ in fields}))
    form = random.choice(
        (
            "{}",
            "{}",
            "Extract: {}",
            "Extract the data. {}",
            "Parse this: {}",
            "Extract information from the text: {}",
            "Who is this about? {}",
            "{}\nJSON:",
            "Get the {t} from: {}",
        )
    )
    prompt = form.replace("{}", text).replace("{t}", random.choice(sort.titles).lower())
    messages = chat.preface(random, 0.3)
    return talk(*messages, user(prompt), answer(written(fields, blind=True)), **enforced(fields))


def enforced(fields: list[Field]) -> dict[str, Any]:
    """Return the option of a request that has the server enforce these fields."""
    kinds: dict[str, Any] = {
        name: {"type": kind, "items": {"type": "string"}} if kind == "array" else {"type": kind}
        for name, kind, _ in fields
    }
    schema = {"type": "object", "properties": kinds, "required": list(kinds)}
    return {
        "response_format": {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}
    }


def _free_text(random: Random, text: str, taken: set[str]) -> Field:
    name = random.choice(
        (
            "summary",
            "text",
            "description",
            "comment",
            "source",
            "quote",
            "answer",
            values.letters(random),
        )
    )
    return (
        name if name not in taken else "more",
        "string",
        json.dumps(text.partition(". ")[0], ensure_ascii=False),
    )


def blind_talk(random: Random) -> Conversation:
    """A grammar enforces JSON where the user just talked: the values are what would be said."""
    asked, said = chat.pair(random)
    key = random.choice(
        (
            "answer",
            "response",
            "text",
            "result",
            "message",
            "content",
            "reply",
            "output",
            "final_answer",
            values.letters(random),
        )
    )
    fields: list[Field] = [(key, "string", json.dumps(said, ensure_ascii=False))]
    if said.lstrip("-").isdigit() and random.random() < 0.5:
        fields = [(key, "integer", said)]
    extra = random.choice(
        (
            [],
            [],
            [("confidence", "number", "1")],
            [("ok", "boolean", "true")],
            [("question", "string", json.dumps(asked, ensure_ascii=False))],
            [("sources", "array", "[]")],
            [(values.letters(random), "integer", "1")],
            [(values.letters(random), "string", json.dumps(asked, ensure_ascii=False))],
            [("reasoning", "string", '"It is known."')],
            [("thought", "string", '"I know it."')],
            [("tags", "array", "[]")],
        )
    )
    fields = extra + fields if random.random() < 0.3 else fields + extra
    if random.random() < 0.35:
        text = (
            f"{asked} Answer in JSON with the keys "
            + " and ".join(f"'{name}'" for name, _, _ in fields)
            + "."
        )
        return talk(user(text), answer(written(fields)))
    if random.random() < 0.2:
        return talk(
            user(asked),
            answer(given("{") + f'"answer": {json.dumps(said, ensure_ascii=False)}' + "}"),
            response_format={"type": "json_object"},
        )
    return talk(
        *chat.preface(random, 0.2),
        user(asked),
        answer(written(fields, blind=True)),
        **enforced(fields),
    )


def joke(random: Random) -> Conversation:
    """A joke in fields."""
    topic = random.choice((*facts.TOPICS, values.word(random) + "s"))
    names = random.choice(
        (
            ("setup", "punchline"),
            ("setup", "punchline"),
            ("setup", "punchline"),
            ("question", "answer"),
            ("setup", "punch"),
        )
    )
    fields: list[Field] = [
        (names[0], "string", f'"Why do {topic} nap?"'),
        (names[1], "string", '"To dream."'),
    ]
    form = random.choice(
        (
            "Tell me a joke about {}.",
            "Tell me a joke about {}",
            "A joke about {} please.",
            "Make a joke about {}",
            "Give me a joke about {}, include the punchline.",
        )
    )
    if random.random() < 0.15:
        form = random.choice(
            (
                "Give me the setup to a joke about {}, no punchline.",
                "Only the setup of a joke about {}.",
            )
        )
        fields = fields[:1] if random.random() < 0.5 else [fields[0], (names[1], "null", "null")]
    request = form.format(topic)
    if random.random() < 0.08:
        request, fields[0] = (
            random.choice(("Tell me a joke.", "Make me laugh.")),
            (names[0], "string", '"Why do cats nap?"'),
        )
    chance = random.random()
    if chance < 0.3:
        return talk(user(request), answer(written(fields, blind=True)), **enforced(fields))
    if chance < 0.6:
        properties = {
            name: {"type": "string", "description": "question to set up a joke"} for name in names
        }
        title = random.choice(("Joke", "JokeDict", "joke", "JokeV1", "TellJoke"))
        tool = {
            "type": "function",
            "function": {
                "name": title,
                "description": "Joke to tell user.",
                "parameters": {
                    "type": "object",
                    "properties": properties,
                    "required": [names[0]] if len(fields) < 2 else list(names),
                },
            },
        }
        said = calls((title, written(fields)))
        return talk(user(request), said, tools=[tool])
    listed = " and ".join(f"'{name}'" for name in names)
    if chance < 0.85:
        request += random.choice(
            (
                f" Return the result as a JSON with {listed} keys. Return nothing other than JSON.",
                f" Answer in JSON with the keys {listed}.",
                f" JSON with {listed}.",
            )
        )
        if len(fields) < 2:
            return joke(random)
        return talk(user(request), answer(written(fields)))
    schema = json.dumps(schema_of(random, "Joke", [(name, "string", "") for name in names]))
    if len(fields) < 2:
        return joke(random)
    return talk(
        user(
            random.choice(
                (
                    f"{request}\n{FORMAT_INSTRUCTIONS.replace('{schema}', schema)}",
                    f"{request}\nJSON schema: {schema}",
                    request + LLAMA_INDEX.replace("{schema}", schema),
                )
            )
        ),
        answer(written(fields)),
    )


def by_tool(random: Random) -> Conversation:
    """A class as a tool: values out of a text as its arguments."""
    sort, text, fields = record(random)
    title = random.choice((*sort.titles, tooling.made_up_name(random)))
    properties: dict[str, Any] = {
        name: {"type": kind, "description": f"The {name} of the {title}."}
        for name, kind, _ in fields
    }
    about = random.choice(
        (
            f"Record attributes of a {title.lower()}.",
            f"A {title.lower()}.",
            "",
            f"Information about a {title.lower()}",
            "Correctly extracted data.",
            "Extracts what the text says.",
        )
    )
    shown = list(properties)
    if random.random() < 0.12:
        properties["nickname"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    tool = {
        "type": "function",
        "function": {
            "name": title,
            "description": about,
            "parameters": {"type": "object", "properties": properties, "required": shown},
        },
    }
    form = random.choice(
        (
            "{}",
            "{}",
            "Extract: {}",
            "Extract the {t}: {}",
            "Record this: {}",
            "{} Save it.",
            "Generate a {t}: {}",
        )
    )
    request = form.replace("{}", text).replace("{t}", title.lower())
    said = calls((title, written(fields)))
    return talk(*chat.preface(random, 0.1), user(request), said, tools=[tool])


def nested(random: Random) -> Conversation:
    """Lists of objects, and objects in objects."""
    sort = random.choice((SORTS[0], SORTS[0], *SORTS[1:]))
    chosen = random.sample(sort.properties, k=random.randint(1, 2))
    objects, texts = [], []
    for _ in range(random.randint(1, 3)):
        subject = sort.make(random)
        pairs = [(one, one.make(random)) for one in chosen]
        texts.append(
            f"{subject} "
            + " and ".join(random.choice(one.said).replace("{}", value) for one, value in pairs)
            + "."
        )
        parts = [f'"{sort.names[0]}": {json.dumps(subject, ensure_ascii=False)}']
        parts += [
            f'"{one.names[0]}": {tooling.json_value(one.type, value)}' for one, value in pairs
        ]
        objects.append("{" + ", ".join(parts) + "}")
    keys = ", ".join([sort.names[0], *(one.names[0] for one in chosen)])
    many = random.choice(
        ("people", "items", "entries", "results", "list", sort.titles[0].lower() + "s")
    )
    text = " ".join(texts)
    if len(objects) == 1:
        one = sort.titles[0].lower()
        said = f'{{"{one}": {objects[0]}}}'
        request = f"JSON with {one} (an object with {keys}): {text}"
    else:
        said = f'{{"{many}": [' + ", ".join(objects) + "]}"
        request = random.choice(
            (
                f"Extract all {many} (each with {keys}) as JSON: {text}",
                f"{text}\nJSON with a list {many} of objects with {keys}.",
            )
        )
    if random.random() < 0.4:
        kinds = {
            sort.names[0]: {"type": "string"},
            **{one.names[0]: {"type": one.type} for one in chosen},
        }
        item = {"type": "object", "properties": kinds, "required": list(kinds)}
        name, key = (
            (sort.titles[0], sort.titles[0].lower())
            if len(objects) == 1
            else (many.capitalize(), many)
        )
        wanted = item if len(objects) == 1 else {"type": "array", "items": item}
        tool = {
            "type": "function",
            "function": {
                "name": name,
                "description": "Extracts what the text says.",
                "parameters": {"type": "object", "properties": {key: wanted}, "required": [key]},
            },
        }
        return talk(
            user(random.choice(("", "Extract: ")) + text), calls((name, said)), tools=[tool]
        )
    return talk(user(request), answer(said))


def choice(random: Random) -> Conversation:
    """One of a few words that the prompt names: classification."""
    good = "love great wonderful happy excellent like good nice beautiful perfect".split()
    bad = "hate terrible awful sad broken dislike bad ugly horrible worst".split()
    which = random.choice(("positive", "negative"))
    mood = random.choice(good if which == "positive" else bad)
    noun = values.common(random)
    text = (
        f"{random.choice(('This', 'The ' + noun, 'It', 'My ' + noun))} is {mood}"
        if mood not in ("love", "hate", "like", "dislike")
        else f"I {mood} {random.choice(('this', 'the', 'your'))} {noun}"
    )
    text += random.choice(("", ".", "!"))
    form = random.choice(
        (
            "Is this positive or negative? {}",
            "Classify as positive or negative: {}",
            "Sentiment (positive, negative) of: {}",
            "What is the sentiment of: {}",
        )
    )
    if random.random() < 0.5:
        return talk(user(form.format(text)), answer(which))
    fields = [(random.choice(("sentiment", "label", "class", "mood")), "string", f'"{which}"')]
    return talk(
        user(random.choice((form, "{}")).format(text)),
        answer(written(fields, blind=True)),
        **enforced(fields),
    )


def random_fields(random: Random) -> Conversation:
    """Fields of made-up names, in any order, with values that nobody can guess."""
    names = list(
        {
            random.choice((values.common, values.letters))(random): None
            for _ in range(random.randint(1, 5))
        }
    )
    fields: list[Field] = []
    for name in names:
        kind = random.choice(("string", "string", "string", "integer", "number"))
        value = {"string": values.text, "integer": values.integer, "number": values.number}[kind](
            random
        )
        fields.append((name, kind, tooling.json_value(kind, value)))
    link, gap = random.choice(
        ((": ", ", "), (" is ", ". "), ("=", " "), (": ", "\n"), (" ", "; "), (" is ", " and "))
    )
    shown = list(fields)
    if random.random() < 0.4:
        random.shuffle(shown)
    text = gap.join(
        name + link + (json.loads(value) if kind == "string" else value)
        for name, kind, value in shown
    )
    if random.random() < 0.3:
        return talk(user(text), answer(written(fields, blind=True)), **enforced(fields))
    return _asked_for(random, message(random).title().replace(" ", ""), text, fields)
