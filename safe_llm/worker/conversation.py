"""The worker's end of its conversation: requests in, replies out, and nothing of what they mean.

A thread takes the requests, so that a cancellation is seen while the main thread is in native code;
everything is answered by the main thread, which proves by that that the work itself gets on.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from safe_llm.protocol.worker import RequestReader, encode_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.protocol.worker import Request

_CHUNK = 64 * 1024
_MAX_REQUEST_BYTES = 1024**3  # the parent has its own, smaller bound


class Cancelled(Exception):
    """The call that is being worked on was cancelled."""


class Conversation:
    """Requests in their order, and what cannot wait for its turn: pings and cancellations.

    The end of the requests is the end of the process, at once: the parent is gone or stops us, and
    native code may be in the middle of minutes of work.
    """

    def __init__(self, requests: int, replies: int) -> None:
        self._requests = requests
        self._replies = replies
        self._waiting: deque[Request] = deque()
        self._pings: deque[int] = deque()
        self._cancelled: set[int] = set()
        self._news = threading.Event()
        self._current: int | None = None
        self.predicted_tokens = 0
        threading.Thread(target=self._receive, name="requests", daemon=True).start()

    def next(self) -> Request:
        """Wait for the next request that nobody has cancelled; meanwhile answer the pings."""
        self._current = None
        while True:
            self._attend_to_urgent()
            if self._waiting:
                request = self._waiting.popleft()
                if request.id not in self._cancelled:
                    self._current = request.id
                    return request
                self._conclude_cancelled(request.id)
                continue
            self._news.wait()

    def attend(self) -> None:
        """Answer pings; raise ``Cancelled`` when the current call is. Costs next to nothing."""
        if self._news.is_set():
            self._attend_to_urgent()
            if self._current in self._cancelled:
                raise Cancelled

    def reply(self, number: int, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Send a reply; the parent empties the pipe, whatever happens to it."""
        left = memoryview(encode_reply(number, kind, data))
        try:
            while left:
                left = left[os.write(self._replies, left) :]
        except BrokenPipeError:
            os._exit(0)

    def conclude(self, number: int, kind: str, data: Mapping[str, Any]) -> None:
        """Send the last reply to a request."""
        self._cancelled.discard(number)
        self.reply(number, kind, data)

    def _conclude_cancelled(self, number: int) -> None:
        self.conclude(number, "error", {"kind": "cancelled", "message": "cancelled in the queue"})

    def _attend_to_urgent(self) -> None:
        self._news.clear()
        while self._pings:
            self.reply(
                self._pings.popleft(),
                "done",
                {
                    "busy": int(self._current is not None),
                    "queued": len(self._waiting),
                    "tokens_predicted_total": self.predicted_tokens,
                },
            )

    def _receive(self) -> None:
        reader = RequestReader(_MAX_REQUEST_BYTES, peer="the parent")
        while data := os.read(self._requests, _CHUNK):
            for request in reader.feed(data):
                self._sort(request)
            self._news.set()
        os._exit(0)

    def _sort(self, request: Request) -> None:
        if request.do == "ping":
            self._pings.append(request.id)
        elif request.do != "cancel":
            self._waiting.append(request)
        elif request.id == self._current or any(one.id == request.id for one in self._waiting):
            self._cancelled.add(request.id)  # any other has been concluded meanwhile
