"""Fixtures for tests of engines; a conftest offers them by importing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import safe_llm
from safe_llm.supervise.portal import portal
from tests.engine_kinds import KINDS
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine_kinds import Kind


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of engine in its turn."""
    return KINDS[request.param]


@pytest.fixture(scope="session")
def hub_with_its_watchdog() -> None:
    """Start what lives as long as the process before the first stock is taken."""
    with safe_llm.spawn(["true"]) as child:
        child.wait(10)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, hub_with_its_watchdog: None) -> Path:
    """The tiny model; the portal, which lives as long as the process, is started on the way."""
    portal()
    return tiny_gguf(tmp_path_factory.mktemp("model"))
