"""The worker's end of its conversation: requests in, replies out, and nothing of what they mean.

A thread does nothing but take what arrives, also while the main thread is in native code. All else
is done by the main thread: so nothing is shared, and a ping that is answered proves that the work
itself gets on.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from safe_llm.protocol.worker import RequestReader, encode_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safe_llm.protocol.worker import Request

_CHUNK = 64 * 1024
_MAX_REQUEST_BYTES = 1024**3  # the parent has its own, smaller bound
_BROKEN = 1


class Cancelled(BaseException):
    """The call that is being worked on was cancelled: for nobody to handle as an error."""


class Refused(Exception):
    """What was asked cannot be done; ``data`` is the reply, and its ``kind`` says whose fault."""

    def __init__(self, kind: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.data = {"kind": kind, "message": message, **more}


class Conversation:
    """Requests in their order, and what cannot wait for its turn: pings and cancellations.

    The end of the requests is the end of the process, at once: the parent is gone or stops us, and
    native code may be in the middle of minutes of work.
    """

    def __init__(self, requests: int, replies: int) -> None:
        self._requests = requests
        self._replies = replies
        self._arrived: SimpleQueue[Request] = SimpleQueue()
        self._waiting: deque[Request] = deque()
        self._current: int | None = None
        self._is_cancelled = False
        self.tokens_predicted: Callable[[], int] = int  # none, before there is a model
        threading.Thread(target=self._receive, name="requests", daemon=True).start()

    def next(self) -> Request:
        """Wait for the next request that nobody has cancelled; meanwhile answer the pings."""
        self._current, self._is_cancelled = None, False
        self._take_arrived()
        while not self._waiting:
            self._take(self._arrived.get())
            self._take_arrived()
        request = self._waiting.popleft()
        self._current = request.id
        return request

    def attend(self) -> None:
        """Answer pings; raise ``Cancelled`` when the current call is. Costs next to nothing."""
        self._take_arrived()
        if self._is_cancelled:
            raise Cancelled

    def reply(self, number: int, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Send a reply; the parent empties the pipe, whatever happens to it."""
        left = memoryview(encode_reply(number, kind, data))
        try:
            while left:
                left = left[os.write(self._replies, left) :]
        except BrokenPipeError:
            os._exit(0)

    def _take_arrived(self) -> None:
        while not self._arrived.empty():
            self._take(self._arrived.get())

    def _take(self, request: Request) -> None:
        if request.do == "ping":
            self.reply(request.id, "done", self._state())
        elif request.do == "cancel":
            self._cancel(request.id)
        else:
            self._waiting.append(request)

    def _state(self) -> dict[str, int]:
        return {
            "busy": int(self._current is not None),
            "queued": len(self._waiting),
            "tokens_predicted_total": self.tokens_predicted(),
        }

    def _cancel(self, number: int) -> None:
        if number == self._current:
            self._is_cancelled = True
            return
        for request in list(self._waiting):  # one that is not there has been concluded meanwhile
            if request.id == number:
                self._waiting.remove(request)
                cancelled = {"kind": "cancelled", "message": "cancelled in the queue"}
                self.reply(number, "error", cancelled)

    def _receive(self) -> None:
        """Run on the thread. Without it the process would hear of nothing, its parent's end too."""
        status = _BROKEN
        try:
            reader = RequestReader(_MAX_REQUEST_BYTES, peer="the parent")
            while data := os.read(self._requests, _CHUNK):
                for request in reader.feed(data):
                    self._arrived.put(request)
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)
