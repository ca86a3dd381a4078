"""A skip that nobody has permitted fails the run where nobody watches. Knows no test by name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class PermittedSkip:
    """Node ids that match ``pattern`` (``*`` stands for anything) may be skipped for ``reason``."""

    pattern: str
    reason: str

    def covers(self, nodeid: str) -> bool:
        # Not fnmatch: the brackets of a parametrised test would be a set of characters to it.
        expression = ".*".join(re.escape(part) for part in self.pattern.split("*"))
        return re.fullmatch(expression, nodeid) is not None


def parse_permitted(text: str) -> list[PermittedSkip]:
    """Read lines of ``PATTERN | REASON``; a line without a reason is a ``ValueError``."""
    permitted = []
    for line in text.splitlines():
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        pattern, _, reason = entry.partition(" | ")
        if not reason.strip():
            raise ValueError(f"a permitted skip needs a reason: {entry!r}")
        permitted.append(PermittedSkip(pattern.strip(), reason.strip()))
    return permitted


def is_strict(environ: Mapping[str, str]) -> bool:
    """Tell whether an unexpected skip fails the run."""
    return environ.get("CI") == "true" or environ.get("SAFE_LLM_STRICT_SKIPS") == "1"


@dataclass(eq=False)  # pytest keeps its plugins in sets
class SkipAudit:
    """A pytest plugin that collects unexpected skips and, if ``strict``, fails the run for them."""

    permitted: list[PermittedSkip]
    strict: bool
    unexpected: dict[str, str] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not hasattr(report, "wasxfail"):  # an expected failure is reported as skipped, too
            self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not any(one.covers(report.nodeid) for one in self.permitted):
            self.unexpected[report.nodeid] = _reason(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.strict and self.unexpected and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.strict:
            return
        for nodeid, reason in self.unexpected.items():
            terminalreporter.write_line(f"UNEXPECTED SKIP {nodeid}: {reason}", red=True)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    where = report.longrepr  # (path, line, "Skipped: why") for a skip
    return str(where[2]) if isinstance(where, tuple) else str(where)
