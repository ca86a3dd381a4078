"""Each test is judged by the oracle of the fault matrix: nothing may be left of any engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import safe_llm
from safe_llm.supervise.portal import portal
from tests.engine_kinds import kind
from tests.faults.oracle import judged
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


__all__ = ["kind"]  # pytest finds a fixture by its name in this module


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model; what lives as long as the process is started on the way."""
    portal()
    with safe_llm.spawn(["true"]) as child:
        child.wait(10)
    return tiny_gguf(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def _nothing_is_left(model: Path) -> Iterator[None]:
    with judged(gap_allowed=False):
        yield
