"""Small programs that use safe_llm and are killed, stopped or forked from outside.

Each reports what it sees as lines of JSON on stdout, the first one being the name of its cookie,
so that nothing it started can be overlooked. ``host.py`` beside this folder runs them.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from safe_llm.process.hub import hub

if TYPE_CHECKING:
    from safe_llm import Child


def report(value: Any) -> None:
    """Tell the test something."""
    os.write(1, json.dumps(value).encode() + b"\n")


def logged(child: Child, size_bytes: int) -> int:
    """Wait until the hub has taken so much stderr: the answer on stdout may overtake its end."""
    child.stderr.changed.wait_until(lambda: child.stderr.received_bytes >= size_bytes, 10)
    return child.stderr.received_bytes


def introduce() -> None:
    """Begin: tell the test how our children can be recognised."""
    report(hub().cookie_name)
