"""How important a line of llama.cpp's log is. Understands nothing else of it.

Measured on llama-server b10434 and b11549 with its default prefix: ``0.00.766.637 W srv init: …``,
which is minutes, seconds, milliseconds and microseconds since the start, then a letter. From debug
verbosity on, colour codes stand before the time even without a terminal, and messages go over
several lines of which only the first has a prefix: prompts, templates, grammars.
``-lv N`` (0 output, 1 error, 2 warning, 3 info, 4 trace, 5 debug) decides what is written at all;
trace messages have the letter ``I``.
"""

from __future__ import annotations

import logging
import re

_LETTERS = {"D": logging.DEBUG, "I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR}
_COLOUR = r"(?:\x1b\[[0-9;]*m)*"
_PREFIX = re.compile(rf"{_COLOUR}\d+\.\d\d\.\d{{3}}\.\d{{3}} {_COLOUR}([DIWE])(?:\s|$)")

# What is written without a prefix: argument errors, and the last words of an abort.
_UNPREFIXED = (
    (re.compile(r"(?i)(error|fatal|terminate called|ggml_assert|.*GGML_ASSERT\()"), logging.ERROR),
    (re.compile(r"(?i)warning\b"), logging.WARNING),
)


def level_of(line: str, previous: int = logging.INFO) -> int:
    """Return the level of a line, one of those of ``logging``.

    A line without a prefix goes on with the message before it and has its level, ``previous``,
    unless it begins as errors and warnings outside the log do.
    """
    if prefix := _PREFIX.match(line):
        return _LETTERS[prefix[1]]
    return level_of_unmarked(line, previous)


def level_of_unmarked(line: str, otherwise: int = logging.DEBUG) -> int:
    """Return the level of a line without a prefix, as llama-cpp-python writes all of its own."""
    for begins, level in _UNPREFIXED:
        if begins.match(line):
            return level
    return otherwise
