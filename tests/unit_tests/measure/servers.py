"""Small programs as subjects, for tests that need a real child."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from safe_llm.measure.mcp_stdio import subject_of

if TYPE_CHECKING:
    from safe_llm.measure.subject import Subject

BOUND = 15.0  # seconds; each run takes one or two
_TALKATIVE = Path(__file__).with_name("talkative_server.py")


def talkative(start: int, each: int, last: int = 0) -> Subject:
    """A server that logs so many bytes at its start and at each request."""
    return subject_of([sys.executable, str(_TALKATIVE), *map(str, (start, each, last))])


def shell(program: str) -> Subject:
    """A program of the shell in the place of a server."""
    return subject_of(["sh", "-c", program])
