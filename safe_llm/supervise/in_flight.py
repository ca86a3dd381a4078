"""The calls in flight on one process, and what they say together. Starts none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from safe_llm.errors import SafeLlmError
    from safe_llm.supervise.call import Call


class CallsInFlight:
    """A set of calls that remembers how often the engine was heard of in those that have ended."""

    def __init__(self) -> None:
        self._calls: set[Call] = set()
        self._tokens_of_ended_calls = 0

    def __len__(self) -> int:
        return len(self._calls)

    def begin(self, call: Call) -> None:
        """A call begins; it may still have to wait for the engine."""
        self._calls.add(call)

    def finish(self, call: Call) -> None:
        """A call is over, whatever came of it."""
        self._calls.discard(call)
        self._tokens_of_ended_calls += call.tokens

    def end_all(self, why: Callable[[], SafeLlmError]) -> None:
        """End every call, each with an error of its own: an exception belongs to one traceback."""
        for call in tuple(self._calls):
            call.end(why())

    def end_served(self, why: Callable[[], SafeLlmError]) -> None:
        """End those that the engine works on; the others wait for a start, and may go on to."""
        for call in self._served():
            call.end(why())

    @property
    def tokens(self) -> int:
        """How often the engine was heard of in all calls so far."""
        return self._tokens_of_ended_calls + sum(call.tokens for call in self._calls)

    @property
    def waiting_since(self) -> float | None:
        """When the oldest call began to wait for the engine's work."""
        begun = (call.times.ready for call in self._served())
        return min((at for at in begun if at is not None), default=None)

    def patience(self, otherwise: float | None) -> float | None:
        """L3 of the most patient call that the engine works on; ``otherwise`` where there is none.

        None where one of them is patient for ever.
        """
        limits = [call.limits.patience for call in self._served()] or [otherwise]
        known = [limit for limit in limits if limit is not None]
        return max(known) if len(known) == len(limits) else None

    def _served(self) -> tuple[Call, ...]:
        return tuple(call for call in self._calls if call.times.ready is not None)
