"""One engine for all tests of a module, and nothing is left of it after the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine_fixtures import hub_with_its_watchdog, kind, model
from tests.faults.oracle import judged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["hub_with_its_watchdog", "kind", "model"]


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left(model: Path) -> Iterator[None]:
    with judged(gap_allowed=False):
        yield
