"""A grammar as the original took it: GBNF text, a LlamaGrammar, or the path of a file.

Checks no grammar; llama-server does that when it gets it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safe_llm.errors import MisuseError


def check_grammar(grammar: Any, grammar_path: str | Path | None) -> None:
    """Raise ``MisuseError`` for both at once, or for an object that holds no text.

    Opens no file.
    """
    if grammar and grammar_path:
        raise MisuseError(
            reason=f"both grammar and grammar_path={str(grammar_path)!r} were given",
            hint="keep one of them",
        )
    if grammar:
        _text_of(grammar)


def grammar_text(grammar: Any, grammar_path: str | Path | None) -> str | None:
    """Return the GBNF text, read from the file now if it is in one; None if there is no grammar."""
    check_grammar(grammar, grammar_path)
    if grammar:
        return _text_of(grammar)
    return _read(Path(grammar_path)) if grammar_path else None


def _text_of(grammar: Any) -> str:
    # LlamaGrammar of llama-cpp-python keeps its GBNF in `_grammar`, and offers no other way to it.
    text = grammar if isinstance(grammar, str) else getattr(grammar, "_grammar", None)
    if not isinstance(text, str):
        raise MisuseError(
            reason=f"grammar is a {type(grammar).__name__}, which holds no GBNF text",
            hint="give the GBNF as a string, or grammar_path=",
        )
    return text


def _read(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MisuseError(reason=f"cannot read grammar_path {str(path)!r}: {error}") from error
