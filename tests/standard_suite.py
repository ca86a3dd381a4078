"""What LangChain's own suites need of us: their coroutines are written for an automatic mode."""

from __future__ import annotations

import inspect
from typing import TypeVar

import pytest

Suite = TypeVar("Suite", bound=type)


def with_its_coroutines(suite: Suite) -> Suite:
    """Mark the suite's coroutines, which pytest would not run otherwise."""
    for name, function in inspect.getmembers(suite, inspect.iscoroutinefunction):
        if name.startswith("test_"):
            setattr(suite, name, pytest.mark.asyncio(function))
    return suite
