"""What callers are told of a process: the errors that say how it ended and what it was seen doing.

Decides nothing and ends nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safe_llm.diagnose.procfs import snapshot
from safe_llm.errors import CallTimeout, EngineDied, NotReady, RestartLimitReached

if TYPE_CHECKING:
    from safe_llm.process.child import Child
    from safe_llm.supervise.deadline import Overdue
    from safe_llm.supervise.restart import RestartPolicy

_SEEN_FOR = 1.0  # seconds: a hundred calls that expire together need one look, not a hundred


class Witness:
    """Looks at a process for those who ask what it does, at most once a second."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._at = 0.0
        self._seen = ""

    def describe(self, child: Child | None, now: float) -> str:
        """Say in one phrase what keeps it; empty when it is gone."""
        if child is None or child.exit_status is not None:
            return ""
        if child is not self._child or now - self._at > _SEEN_FOR:
            seen = snapshot(child.pid)
            self._child, self._at, self._seen = child, now, seen.describe() if seen else ""
        return self._seen


def death(name: str, child: Child) -> EngineDied:
    """How it ended, for calls that were in flight."""
    return EngineDied(
        engine=name,
        exit_status=_status(child) or "it is gone",
        reason=child.stop_reason,
        last_words=child.last_words(),
    )


def death_before_use(name: str, child: Child, waited: float) -> NotReady:
    """How it ended before it had become useful, for calls that wait for that."""
    return NotReady(
        program=name,
        reason=child.stop_reason or "it ended",
        waited=waited,
        exit_status=_status(child),
        last_words=child.last_words(),
    )


def silence(name: str, child: Child | None, waited: float) -> NotReady:
    """That it was waited for in vain."""
    return NotReady(
        program=name,
        reason="it runs and does not answer",
        waited=waited,
        last_words=child.last_words() if child else "",
        hint="raise Limits.start if it is only slow",
    )


def timeout(name: str, child: Child | None, overdue: Overdue, seen: str) -> CallTimeout:
    """Which limit ended a call, and what the process was seen doing."""
    return CallTimeout(
        engine=name,
        layer=overdue.layer,
        limit=overdue.limit,
        elapsed=overdue.elapsed,
        diagnosis=seen,
        last_words=child.last_words() if child else "",
    )


def too_many_crashes(name: str, child: Child | None, policy: RestartPolicy) -> RestartLimitReached:
    """That it is given up for a while, and its last crash."""
    return RestartLimitReached(
        program=name,
        restarts=policy.max_restarts,
        window=policy.window,
        exit_status=_status(child) if child else "",
        last_words=child.last_words() if child else "",
        hint=f"it is tried again when {policy.window:.0f} s have passed since the first crash",
    )


def _status(child: Child) -> str:
    return child.exit_status.describe() if child.exit_status is not None else ""
