"""What the corpus is made of: conversations in the form of a request to an engine. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Between these two the network is not trained: the server enforces what stands there, or the
# answer begins as another would not. They are private characters that no value holds.
GIVEN = "\ue000"
FREE = "\ue001"


def given(text: str) -> str:
    """Mark a part of an answer that the network shall not learn to say of its own accord."""
    return f"{GIVEN}{text}{FREE}"


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages, the last of which is the answer; ``raw`` is a text to be continued instead."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    tools: list[dict[str, Any]] = field(default_factory=list)
    raw: str = ""
    options: dict[str, Any] = field(default_factory=dict)  # of the request, beside its messages


def system(content: str) -> dict[str, Any]:
    """A message of the system."""
    return {"role": "system", "content": content}


def user(content: str) -> dict[str, Any]:
    """A message of the user."""
    return {"role": "user", "content": content}


def answer(content: str) -> dict[str, Any]:
    """An answer in plain words."""
    return {"role": "assistant", "content": content}


def reply(content: str) -> dict[str, Any]:
    """The reply of a tool."""
    return {"role": "tool", "content": content}


def calls(*made: tuple[str, str], content: str = "") -> dict[str, Any]:
    """An answer that calls tools, each a name and its arguments as JSON."""
    functions = [{"function": {"name": name, "arguments": text}} for name, text in made]
    return {"role": "assistant", "content": content, "tool_calls": functions}


def talk(
    *messages: dict[str, Any], tools: list[dict[str, Any]] | None = None, **options: Any
) -> Conversation:
    """A conversation; ``options`` go into the request for its last answer."""
    return Conversation(list(messages), tools or [], options=options)


def unmarked(text: str) -> str:
    """Return an answer without the marks of what is given."""
    return text.replace(GIVEN, "").replace(FREE, "")
