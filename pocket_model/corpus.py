"""All kinds of conversations and how often each is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocket_model import bare, calling, chat, context, copying, structured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from pocket_model.conversation import Conversation

    Kinds = Mapping[Callable[[Random], Conversation], float]

COPYING: Kinds = {copying.repeat: 3, copying.look_up: 3, copying.json_of: 3, copying.list_of: 1}
EVERYTHING: Kinds = {
    copying.repeat: 5,
    copying.look_up: 3,
    copying.json_of: 3,
    chat.plain: 10,
    chat.remembered: 3,
    chat.persona: 2,
    chat.continued: 4,
    chat.styled: 0.5,
    calling.call: 24,
    calling.again: 5,
    calling.parallel: 5,
    calling.chain: 4,
    calling.none: 6,
    calling.forced: 2,
    calling.copied: 6,
    structured.extracted: 7,
    structured.blind: 3,
    structured.blind_talk: 3,
    structured.joke: 2,
    structured.by_tool: 4,
    structured.nested: 1.5,
    structured.choice: 1,
    structured.random_fields: 3,
    context.answered: 8,
    context.retrieved: 2,
    context.summary: 0.7,
}


def mixture(share: float) -> Kinds:
    """Return the kinds at a time of the training, from 0 to 1, and their weights."""
    return COPYING if share < 0.02 else EVERYTHING


def draw(random: Random, kinds: Kinds) -> Conversation:
    """Return a conversation of a random kind."""
    (kind,) = random.choices(tuple(kinds), tuple(kinds.values()))
    return bare.maybe_bare(random, kind(random))
