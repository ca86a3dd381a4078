"""A conversation as tokens and what each weighs in training, by the chat template itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from pocket_model import vocabulary
from pocket_model.conversation import FREE, GIVEN

if TYPE_CHECKING:
    from pocket_model.conversation import Conversation

PROMPT_WEIGHT = 0.01  # a prompt cannot be foretold; its words are worth knowing all the same
EARLIER_WEIGHT = 0.6  # answers before the last: few-shot examples need not be in our manner

_TEMPLATE = jinja2.Environment(autoescape=False).from_string(  # noqa: S701 - no page is made
    Path(__file__).with_name("template.jinja").read_text()
)
_ANSWERS = re.compile("(<\\|assistant\\|>|<\\|end\\|>)")
_MARKS = re.compile(f"({GIVEN}|{FREE})")


def rendered(conversation: Conversation) -> str:
    """Return the text of a conversation as the chat template makes it."""
    return _TEMPLATE.render(messages=conversation.messages, tools=conversation.tools or None)


def tokens_of(conversation: Conversation) -> tuple[list[int], list[float]]:
    """Return tokens and the weight of each as the one to be foretold."""
    tokens, weights = [vocabulary.identity(vocabulary.BEGIN)], [0.0]

    def add(text: str, weight: float) -> None:
        new = vocabulary.encode(text)
        tokens.extend(new)
        weights.extend([weight] * len(new))

    text = conversation.raw + vocabulary.END if conversation.raw else rendered(conversation)
    inside = bool(conversation.raw)
    last = text.rfind(vocabulary.ASSISTANT)
    at = 0
    for part in _ANSWERS.split(text):
        if part == vocabulary.ASSISTANT:
            add(part, 0.0)
            inside = True
        elif inside:
            full = 1.0 if at >= last else EARLIER_WEIGHT
            weight = full
            for piece in _MARKS.split(part):
                if piece == GIVEN:
                    weight = 0.0
                elif piece == FREE:
                    weight = full
                else:
                    add(piece, weight)
            inside = part != vocabulary.END
        else:
            add(part, PROMPT_WEIGHT)
        at += len(part)
    return tokens, weights
