"""One call in flight on the portal: its clock, and the way to end it from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from safe_llm.supervise.deadline import CallClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from safe_llm.errors import SafeLlmError
    from safe_llm.limits import Limits
    from safe_llm.process.clock import RunClock
    from safe_llm.supervise.deadline import Overdue


class Call:
    """A call that can be ended with an error: by a deadline, by the watchdog, by a death."""

    def __init__(
        self,
        limits: Limits,
        clock: RunClock,
        on_overdue: Callable[[Call, Overdue], None],
        queued: float = 0.0,
    ) -> None:
        self.limits = limits
        self.times = CallClock(limits, clock.now(), queued)
        self.scope = anyio.CancelScope()
        self.error: SafeLlmError | None = None
        self.tokens = 0
        self._clock = clock
        self._on_overdue = on_overdue
        self._suspected = False

    def is_ready(self) -> None:
        """The engine is there: the work begins."""
        self.times.is_ready(self._clock.now())

    def heard(self) -> None:
        """The engine has just shown that it works on this call."""
        self.tokens += 1
        self.times.heard(self._clock.now())

    def end(self, error: SafeLlmError) -> None:
        """End the call with ``error``; the first one counts."""
        if self.error is None:
            self.error = error
            self.scope.cancel()

    def tick(self, now: float) -> None:
        """Look at the deadlines. What is overdue ends at the *next* look.

        After a pause of this process the event loop fires timers before it delivers data that
        has long arrived; one more turn lets the data win.
        """
        overdue = self.times.overdue(now)
        if overdue is not None and self._suspected:
            self._on_overdue(self, overdue)
        self._suspected = overdue is not None
