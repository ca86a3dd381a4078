"""Judges each row of the fault matrix by the oracle, and reports what it took."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.engine_fixtures import hub_with_its_watchdog, kind, model
from tests.faults.oracle import judged
from tests.llama_engine import PATIENT, leased

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from safe_llm.engines.lease import Lease
    from tests.engine_kinds import Kind

    Figure = Callable[[str], AbstractContextManager[None]]

__all__ = ["hub_with_its_watchdog", "kind", "model"]

_ROWS_WITH_A_GAP = {10, 11, 23, 46}  # they hold the GIL, or stop this process


@pytest.fixture
def oracle(request: pytest.FixtureRequest, hub_with_its_watchdog: None) -> Iterator[None]:
    """Judge a row whose children are all its own."""
    rows = {number for mark in request.node.iter_markers("row") for number in mark.args}
    with judged(gap_allowed=bool(rows & _ROWS_WITH_A_GAP)):
        yield


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Measure a block and report its seconds, which no test asserts."""

    @contextmanager
    def measure(what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        rows = sorted(number for mark in request.node.iter_markers("row") for number in mark.args)
        took = f"{time.monotonic() - began:6.2f} s"
        request.node.user_properties.append(("figure", f"row {rows}: {took}  {what}"))

    return measure


@pytest.fixture(scope="module")
def engine(kind: Kind, model: Path) -> Iterator[Lease]:
    """One for those tests of a module that leave it as it was. It serves two calls at once."""
    with leased(kind.spec(model, at_once=2, mark="shared")) as taken:
        taken.start(PATIENT)
        yield taken


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if config.get_verbosity() < 1:
        return
    terminalreporter.section("what the rows took")
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(str(value))
