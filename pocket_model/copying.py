"""Tasks that need nothing but copying: the first that the network learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocket_model import values
from pocket_model.conversation import answer, talk, user

if TYPE_CHECKING:
    from random import Random

    from pocket_model.conversation import Conversation


def repeat(random: Random) -> Conversation:
    """Say what was said."""
    text = " ".join(values.text(random) for _ in range(random.choice((1, 1, 1, 2, 3))))
    asked = random.choice(
        (
            "Repeat: {}",
            "Say {}",
            "repeat {}",
            "Echo: {}",
            "Say: {}",
            "Repeat after me: {}",
            "Please say '{}'",
            'Write "{}"',
            "Say exactly: {}",
            "Output {} and nothing else",
            "Respond with the word {}",
            "Reply with exactly: {}",
            "Answer only: {}",
        )
    )
    return talk(user(asked.format(text)), answer(text))


def look_up(random: Random) -> Conversation:
    """Return the value of one key among several."""
    keys = list({values.word(random): None for _ in range(random.randint(2, 7))})
    pairs = {key: values.text(random) for key in keys}
    asked = random.choice(keys)
    link, gap = random.choice(
        (("=", "; "), (": ", "\n"), (" is ", ". "), (" -> ", ", "), (": ", ", "))
    )
    table = gap.join(key + link + value for key, value in pairs.items())
    question = random.choice(("{}?", "What is {}?", "Value of {}?", "Give {}", "look up {}"))
    order = random.choice(("{table}\n{question}", "{question}\n{table}"))
    return talk(
        user(order.format(table=table, question=question.format(asked))), answer(pairs[asked])
    )


def json_of(random: Random) -> Conversation:
    """Write pairs as JSON."""
    keys = list({values.word(random): None for _ in range(random.randint(1, 4))})
    parts, shown = [], []
    for key in keys:
        if random.random() < 0.45:
            value = values.number(random)
            shown.append((key, value))
            parts.append(f'"{key}": {value}')
        else:
            value = values.text(random)
            shown.append((key, value))
            parts.append(f'"{key}": "{value}"')
    link, gap = random.choice(
        (("=", "; "), (": ", "\n"), (" is ", ", "), (" ", ", "), (": ", ", "))
    )
    said = gap.join(key + link + value for key, value in shown)
    asked = random.choice(("As JSON: {}", "Write as JSON: {}", "{}\nJSON:", "Convert to JSON: {}"))
    return talk(user(asked.format(said)), answer("{" + ", ".join(parts) + "}"))


def list_of(random: Random) -> Conversation:
    """Return one item by its place, or all of them."""
    items = [values.text(random).replace(",", "") for _ in range(random.randint(2, 6))]
    which = random.choice(("first", "last", "all"))
    asked = {
        "first": "What is the first of {}?",
        "last": "What is the last of {}?",
        "all": "One a line: {}",
    }[which].format(", ".join(items))
    said = {"first": items[0], "last": items[-1], "all": "\n".join(items)}[which]
    return talk(user(asked), answer(said))
