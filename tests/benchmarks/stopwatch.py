"""What a reader of a stream sees: when the first token came, and how fast the others did."""

from __future__ import annotations

import time


class Stopwatch:
    """The times of one stream, started when it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._first_at = self._last_at = 0.0
        self.tokens = 0

    def heard(self, text: str) -> None:
        """Note a piece of text; an empty one, as the last event has, is no token."""
        if not text:
            return
        self._last_at = time.perf_counter()
        self._first_at = self._first_at or self._last_at
        self.tokens += 1

    @property
    def age(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self._began

    @property
    def first_token(self) -> float:
        """Seconds until the first token."""
        return self._first_at - self._began

    @property
    def tokens_a_second(self) -> float:
        """From the first token to the last one."""
        return (self.tokens - 1) / (self._last_at - self._first_at)
