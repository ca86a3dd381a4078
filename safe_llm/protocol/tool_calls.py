"""Calls of tools in the text of a model, as deltas of OpenAI's streamed chat. Pure.

A model writes a call as ``{"name": …, "arguments": {…}}``: alone or in a list where a grammar
leaves it no other way (``ForcedCalls``), between ``<tool_call>`` and ``</tool_call>`` where it is
free (``MarkedCalls``; the form of Hermes, Qwen and many others). What is no call after all is
given back as text: nothing that a model said is lost but white space.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BEGIN, END = "<tool_call>", "</tool_call>"

Delta = dict[str, Any]

_HEAD = re.compile(r'\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:')
_BETWEEN = " \t\r\n,[]"  # what may stand around the calls of a list


class CallScanner(Protocol):
    """Takes the text of an answer piece by piece and gives the deltas of its message."""

    @property
    def calls(self) -> int:
        """How many calls there were."""
        ...

    def feed(self, text: str) -> list[Delta]:
        """Return what is new in the message."""
        ...

    def finish(self) -> list[Delta]:
        """Return what was held back; nothing more comes."""
        ...


class _Call:
    """One JSON object as it arrives: the name once it is whole, the arguments in pieces."""

    def __init__(self, index: int, new_id: Callable[[], str], names: frozenset[str] | None) -> None:
        self.text = ""
        self.has_begun = False  # its name has been told
        self.is_over = False
        self._is_past = False  # the arguments are whole
        self._index = index
        self._new_id = new_id
        self._names = names
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> tuple[list[Delta], str]:
        """Return the deltas, and what follows the end of the object."""
        told: list[Delta] = []
        arguments = ""
        for position, char in enumerate(text):
            if char == "<" and not self._in_string:  # its mark ends before its last brace does
                self.is_over = True
                return told + self._ending(arguments), text[position:]
            self.text += char
            was_within = self._depth > 1
            self._follow(char)
            if self._depth == 0 and not self._in_string:
                self.is_over = True
                return told + self._ending(arguments), text[position + 1 :]
            if self.has_begun:
                arguments += self._argument(char, was_within=was_within)
            elif char == ":" and (name := self._named()) is not None:
                told.append(self._beginning(name))
        return told + self._more(arguments), ""

    def _follow(self, char: str) -> None:
        if self._in_string:
            self._in_string = self._escaped or char != '"'
            self._escaped = char == "\\" and not self._escaped
        elif char == '"':
            self._in_string = True
        elif char in "{[":
            self._depth += 1
        elif char in "}]":
            self._depth -= 1

    def _argument(self, char: str, *, was_within: bool) -> str:
        """The character, if it belongs to the value of "arguments" and not to what is around it."""
        if self._is_past or was_within or self._depth > 1:
            kept = "" if self._is_past else char
            self._is_past = self._is_past or self._depth == 1
            return kept
        self._is_past = char == ","
        return "" if char == "," or char.isspace() else char

    def _named(self) -> str | None:
        head = _HEAD.fullmatch(self.text)
        name = _text_or_none(head[1]) if head else None
        return name if self._names is None or name in self._names else None

    def _beginning(self, name: str, arguments: str = "") -> Delta:
        self.has_begun = True
        function = {"name": name, "arguments": arguments}
        call = {"index": self._index, "id": self._new_id(), "type": "function"}
        return {"tool_calls": [{**call, "function": function}]}

    def _more(self, arguments: str) -> list[Delta]:
        if not arguments:
            return []
        return [{"tool_calls": [{"index": self._index, "function": {"arguments": arguments}}]}]

    def _ending(self, arguments: str) -> list[Delta]:
        if self.has_begun:
            return self._more(arguments)
        called = _read(self.text, self._names)  # in another order, or no call at all
        return [] if called is None else [self._beginning(*called)]


def _text_or_none(literal: str) -> str | None:
    try:
        text: str = json.loads(literal)
    except ValueError:  # an escape that JSON does not know
        return None
    return text


def _read(text: str, names: frozenset[str] | None) -> tuple[str, str] | None:
    try:
        said = json.loads(text)
    except ValueError:
        return None
    arguments = said.get("arguments", said.get("parameters"))
    name = said.get("name")
    if not isinstance(name, str) or arguments is None or (names and name not in names):
        return None
    return name, json.dumps(arguments)


class _Calls:
    """Calls one after the other, and where they end."""

    def __init__(self, new_id: Callable[[], str], names: frozenset[str] | None = None) -> None:
        self.begun = 0
        self._new_id = new_id
        self._names = names
        self._open: _Call | None = None

    def take(self, text: str) -> tuple[list[Delta], str]:
        """Return the deltas, and the text from where no call begins."""
        told: list[Delta] = []
        while text:
            if self._open is None:
                text = text.lstrip(_BETWEEN)
                if not text.startswith("{"):
                    break
                self._open = _Call(self.begun, self._new_id, self._names)
            deltas, text = self._open.feed(text)
            told += deltas
            if self._open.is_over:
                told += self.close()
        return told, text

    def close(self) -> list[Delta]:
        """End the call that is open; if it was none, return its text."""
        call, self._open = self._open, None
        if call is None:
            return []
        self.begun += call.has_begun
        return [] if call.has_begun else _content(call.text)


class ForcedCalls:
    """Calls that a grammar forces: the whole text is one, or a list of them.

    An object that is no call of one of ``names`` is the text of an answer.
    """

    def __init__(self, new_id: Callable[[], str], names: frozenset[str]) -> None:
        self._calls = _Calls(new_id, names)
        self._is_text = False  # no grammar forced it after all

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return self._calls.begun

    def feed(self, text: str) -> list[Delta]:
        """Return what is new in the message."""
        if self._is_text:
            return _content(text)
        told, rest = self._calls.take(text)
        self._is_text = bool(rest)
        return told + _content(rest)

    def finish(self) -> list[Delta]:
        """Return the text of a call that was cut off before its name was whole."""
        return self._calls.close()


class MarkedCalls:
    """Calls between ``<tool_call>`` and ``</tool_call>``, and text before, between and after."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._calls = _Calls(new_id)
        self._inside = False
        self._after_a_call = False
        self._held = ""  # the beginning of a mark, perhaps; or white space before one

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return self._calls.begun

    def feed(self, text: str) -> list[Delta]:
        """Return what is new in the message."""
        text, self._held = self._held + text, ""
        told: list[Delta] = []
        while text:
            deltas, text = self._within(text) if self._inside else self._outside(text)
            told += deltas
        return told

    def _outside(self, text: str) -> tuple[list[Delta], str]:
        before, self._inside, after = _parted(text, BEGIN)
        if self._inside:
            return self._said(before.rstrip()), after
        kept = len(before.rstrip())
        self._held = before[kept:] + after
        return self._said(before[:kept]), ""

    def _within(self, text: str) -> tuple[list[Delta], str]:
        told, rest = self._calls.take(text)
        junk, ended, after = _parted(rest, END)
        self._inside, self._after_a_call = not ended, ended
        if ended:
            return told + _content(junk), after
        self._held = after
        return told + _content(junk), ""

    def _said(self, text: str) -> list[Delta]:
        if self._after_a_call:  # a line break belongs to its mark
            text = text.lstrip()
        self._after_a_call = self._after_a_call and not text
        return _content(text)

    def finish(self) -> list[Delta]:
        """Return what was held back, and what was no call."""
        held, self._held = self._held, ""
        return self._calls.close() + (_content(held) if self._inside else self._said(held))


def _content(text: str) -> list[Delta]:
    return [{"content": text}] if text else []


def _parted(text: str, mark: str) -> tuple[str, bool, str]:
    """Return what is before the mark, whether it is there, and what follows or may begin one."""
    before, found, after = text.partition(mark)
    if found:
        return before, True, after
    lengths = range(min(len(mark) - 1, len(text)), 0, -1)
    begun = next((length for length in lengths if text.endswith(mark[:length])), 0)
    return text[: len(text) - begun], False, text[len(text) - begun :]


def as_text(call: Mapping[str, Any]) -> str:
    """Return a call as a model that knows this form would have written it."""
    return f"{BEGIN}\n{json.dumps(call, ensure_ascii=False)}\n{END}"
