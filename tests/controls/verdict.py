"""Runs a control in a process of its own and says from outside what became of it, and why.

It reads /proc and the control's own report, waits for no longer than a bound, and leaves nothing
running. It never takes a control that could not even start for one that failed a row.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.controls.scenarios import SCENARIOS
from tests.controls.standstill import (
    Thread,
    blocked_writes,
    family,
    pipe_partners,
    stands_still,
    threads_of,
)
from tests.controls.sweep import new_cookie, sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["U", "N"]

_ROOT = Path(__file__).parents[2]
_POLL = 0.02  # seconds between two looks
_STILL = 0.3  # seconds without one context switch, before it is called a standstill
_BOUND = 15.0  # seconds for the whole run, within the 20 s of a test


class Reason(StrEnum):
    """How a control ended, or what it hangs in."""

    ANSWERED = "answered"
    RAISED = "raised"
    BLOCKED_IN_WRITE = "blocked in a pipe write"
    WAIT_DOES_NOT_RETURN = "wait does not return"
    UNEXPLAINED = "no verdict within the bound"


@dataclass(frozen=True, kw_only=True)
class ControlOutcome:
    """What became of a control. ``finished`` is true when its last statement was reached."""

    finished: bool
    reason: Reason
    detail: str
    descriptor: int | None = None  # what the child was blocked in writing to
    answer: str | None = None
    exit_status: int | None = None
    task_errors: tuple[str, ...] = ()  # of tasks that ended by themselves, the drains among them


class ControlBroken(Exception):
    """The control did not run at all: a mistake in the tests, not the failure of a row."""


@dataclass
class _Run:
    process: subprocess.Popen[bytes]
    report: Path
    errors: Path

    def events(self) -> list[tuple[str, Any]]:
        lines = self.report.read_bytes().split(b"\n")[:-1]  # the last one may be half written
        return [tuple(json.loads(one)) for one in lines]

    def last(self, event: str) -> Any:
        return next((value for name, value in reversed(self.events()) if name == event), None)

    def outcome(
        self, reason: Reason, detail: str, *, finished: bool = False, descriptor: int | None = None
    ) -> ControlOutcome:
        return ControlOutcome(
            finished=finished,
            reason=reason,
            detail=detail,
            descriptor=descriptor,
            answer=self.last("answer"),
            exit_status=self.last("exit_status"),
            task_errors=tuple(value for name, value in self.events() if name == "task_error"),
        )


def run_control(
    kind: Kind,
    argv: Sequence[str],
    scenario: str,
    *,
    bound: float = _BOUND,
    python: str = sys.executable,
) -> ControlOutcome:
    """Run control ``kind`` with the child ``argv`` through a scenario of ``scenarios.py``.

    Returns as soon as it has ended or its hang is explained, at the latest after ``bound``
    seconds; everything that it started is dead then.

    Raises ``ControlBroken`` when it ended before its child was started, and ``ValueError`` for a
    scenario that this control does not know.
    """
    if scenario not in SCENARIOS[kind]:
        raise ValueError(f"no scenario {scenario!r} among {', '.join(SCENARIOS[kind])}")
    cookie = new_cookie()
    with tempfile.TemporaryDirectory() as directory:
        report, errors = Path(directory, "report"), Path(directory, "errors")
        with report.open("wb") as stdout, errors.open("wb") as stderr:
            process = subprocess.Popen(
                [python, "-m", "tests.controls.driver", kind, scenario, *argv],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=_ROOT,
                env={**os.environ, **cookie},
                start_new_session=True,
            )
        try:
            return _observe(_Run(process, report, errors), bound)
        finally:
            sweep(cookie)
            process.wait(5)


def _observe(run: _Run, bound: float) -> ControlOutcome:
    reference: frozenset[Thread] = frozenset()
    now = since = time.monotonic()
    deadline = now + bound
    while now < deadline:
        try:
            run.process.wait(_POLL)
        except subprocess.TimeoutExpired:
            threads, now = threads_of(family(run.process.pid)), time.monotonic()
        else:
            return _ended(run)
        if not stands_still(reference, threads):
            reference, since = threads, now
        elif now - since >= _STILL and (outcome := _explain(run, threads)) is not None:
            return outcome
    return run.outcome(Reason.UNEXPLAINED, f"after {bound} s: {sorted(map(str, reference))}")


def _ended(run: _Run) -> ControlOutcome:
    if run.last("spawned") is None:
        raise ControlBroken(run.errors.read_text(errors="replace"))
    if run.last("finished"):
        return run.outcome(Reason.ANSWERED, "it reached its end", finished=True)
    raised = run.last("raised") or f"exit status {run.process.returncode}"
    return run.outcome(Reason.RAISED, raised)


def _explain(run: _Run, threads: frozenset[Thread]) -> ControlOutcome | None:
    """Name the reason of a standstill, if it is one of the two that the matrix speaks of."""
    child = run.last("spawned")
    if child is None:
        return None
    if blocked := [one for one in blocked_writes(threads) if one.pid != run.process.pid]:
        return run.outcome(
            Reason.BLOCKED_IN_WRITE, "; ".join(map(str, blocked)), descriptor=blocked[0].descriptor
        )
    if not any(one.pid == child and one.alive for one in threads):
        holders = pipe_partners(run.process.pid)
        return run.outcome(
            Reason.WAIT_DOES_NOT_RETURN,
            f"the child, pid {child}, is dead; its pipes are held by {holders or 'nobody'}",
        )
    return None
