"""LangChain's own suites on our classes: nothing is left of an engine after a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from safe_llm.supervise.portal import portal
from tests.engine_fixtures import hub_with_its_watchdog
from tests.faults.oracle import judged

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["hub_with_its_watchdog"]


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left(hub_with_its_watchdog: None) -> Iterator[None]:
    portal()  # it lives as long as the process
    with judged(gap_allowed=False):
        yield
