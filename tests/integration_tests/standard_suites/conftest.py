"""LangChain's own suites on our classes: nothing is left of an engine after a module."""

from __future__ import annotations

import asyncio
import gc
import warnings
from contextlib import suppress
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
        _close_the_loop_that_is_left()


def _close_the_loop_that_is_left() -> None:
    """pytest-asyncio puts an event loop back after its tests, whether there was one or not."""
    with warnings.catch_warnings(), suppress(RuntimeError):
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of newer versions, where there is none
        asyncio.get_event_loop().close()
        asyncio.set_event_loop(None)
    gc.collect()  # those of earlier tests are closed by it alone
