"""Engines that cannot be started: the error that says so is the same each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from safe_llm.errors import SafeLlmError
from tests.llama_engine import HELLO, PATIENT, leased

if TYPE_CHECKING:
    from safe_llm.engines.spec import EngineSpec
    from safe_llm.limits import Limits

E = TypeVar("E", bound=SafeLlmError)


def failure(kind: type[E], spec: EngineSpec, limits: Limits = PATIENT, **settings: Any) -> E:
    """The error of the first call, and of the second one."""
    with leased(spec, limits, **settings) as engine:
        with pytest.raises(kind):
            engine.complete(HELLO, limits)
        with pytest.raises(kind) as caught:
            engine.complete(HELLO, limits)
        assert engine.status().pid is None or engine.status().state == "stopping"
    return caught.value
