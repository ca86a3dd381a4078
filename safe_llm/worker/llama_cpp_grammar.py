"""Grammars that llama.cpp can parse. What it could not, or would crash of, is a ``ValueError``.

Its parser calls itself for what is nested, and overflows a stack of 8 MiB at 20,000 parentheses or
100,000 rules (0.3.36, measured); a grammar with a mistake is a null that ends up in the sampler.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import llama_cpp
from llama_cpp import llama_grammar

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 5_000
_MOST_RULES = 20_000
_MOST_REPETITIONS = 10_000  # llama.cpp refuses most above 2,000, but only once they are written out
_COUNTS = frozenset({"minLength", "maxLength", "minItems", "maxItems"})
_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_QUANTIFIER = re.compile(r"\{\s*(\d*)\s*,?\s*(\d*)\s*\}")


def from_text(text: str) -> llama_cpp.LlamaGrammar:
    """Return a grammar given as GBNF."""
    return llama_cpp.LlamaGrammar.from_string(text)


def from_schema(schema: Any) -> llama_cpp.LlamaGrammar:
    """Return the grammar of a JSON schema."""
    try:
        _check_repetitions(schema)
        text = llama_grammar.json_schema_to_gbnf(json.dumps(schema))
    except Exception as error:  # an AssertionError for most of what it does not know
        raise ValueError(f"json_schema: {str(error) or type(error).__name__}") from error
    return from_text(_SURROGATES.sub(_code_point, text))


def _code_point(pair: re.Match[str]) -> str:
    """Return the escape of the one character that two halves stand for.

    The library writes an emoji as JSON's two halves; to llama.cpp each would be a character.
    """
    high, low = (int(half, 16) for half in pair.groups())
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"


def check(model: llama_cpp.Llama, grammar: llama_cpp.LlamaGrammar) -> None:
    """Raise ``ValueError`` for a grammar that this model cannot be given."""
    text: str = grammar._grammar
    depths = accumulate((1 if one == "(" else -1) for one in text if one in "()")
    if max(depths, default=0) > _DEEPEST or text.count("::=") > _MOST_RULES:
        limits = f"{_DEEPEST:,} nested parentheses and {_MOST_RULES:,} rules"
        raise ValueError(f"the grammar is too large: at most {limits}")
    sampler = llama_cpp.llama_sampler_init_grammar(
        model._model.vocab, text.encode(), grammar._root.encode()
    )
    if not sampler:
        raise ValueError("the grammar cannot be parsed; the engine's log says where")
    llama_cpp.llama_sampler_free(sampler)


def _check_repetitions(schema: Any) -> None:
    if max(_repetitions(schema), default=0) > _MOST_REPETITIONS:
        raise ValueError(f"more than {_MOST_REPETITIONS:,} repetitions")


def _repetitions(schema: Any) -> Iterator[int]:
    if isinstance(schema, list):
        for one in schema:
            yield from _repetitions(one)
    elif isinstance(schema, dict):
        for name, value in schema.items():
            if name in _COUNTS and isinstance(value, (int, float)):
                yield int(value)
            elif name == "pattern" and isinstance(value, str):
                yield from (int(n) for one in _QUANTIFIER.findall(value) for n in one if n)
            else:
                yield from _repetitions(value)
