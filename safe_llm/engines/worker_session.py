"""The conversation with one worker process: what was asked, what came back, what is still open.

Lives on the portal, for one incarnation. Sets no deadline: those are the call's.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from safe_llm.errors import MisuseError, ProtocolViolation
from safe_llm.protocol.worker import Reply, ReplyReader, encode
from safe_llm.supervise.program import Busy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safe_llm.process.child import Child

_ENDINGS = ("done", "error")
_NO_WORK = ("load", "ping")


class Hangup(Exception):
    """The worker's side of the conversation has ended, most likely with the worker."""


class _Question:
    """A request that has not been concluded, and who is told of its replies.

    Nobody is, once they have left; it stays open until the worker has given the work back.
    """

    def __init__(self, take: Callable[[Reply], None], *, is_work: bool) -> None:
        self.take: Callable[[Reply], None] | None = take
        self.is_work = is_work
        self.was_answered = False
        self.over = anyio.Event()
        self.error: BaseException | None = None

    def hear(self, reply: Reply) -> None:
        self.was_answered = True
        if self.take is not None:
            try:
                self.take(reply)
            except Exception as error:
                self.end(error)
        if reply.kind in _ENDINGS:
            self.end()

    def end(self, error: BaseException | None = None) -> None:
        self.take, self.error = None, self.error or error
        self.over.set()


class WorkerSession:
    """Requests to one worker, and its replies sorted by request."""

    def __init__(self, child: Child, name: str, max_message_bytes: int) -> None:
        self._child = child
        self._name = name
        self._reader = ReplyReader(max_message_bytes, peer=name)
        self._numbers = count()
        self._open: dict[int, _Question] = {}
        self._end: Exception | None = None

    @property
    def busy(self) -> Busy:
        """The calls that the worker has not given back, whether or not anybody waits for them."""
        work = [one for one in self._open.values() if one.is_work]
        return Busy(len(work), sum(1 for one in work if not one.was_answered))

    async def ask(
        self, do: str, arguments: Mapping[str, Any], take: Callable[[Reply], None]
    ) -> None:
        """Send a request, give ``take`` each reply, and return after the one that concludes it.

        ``take`` is called where the replies are read: a task of its own for each token would cost
        more than all the rest. What it raises ends the call; leaving the call cancels the work.
        Raises ``Hangup`` when the conversation ends first, ``ProtocolViolation`` when the worker
        said what nobody can understand, and ``MisuseError`` for what cannot be written as JSON.
        """
        if self._end is not None:
            raise self._end
        number, question = next(self._numbers), _Question(take, is_work=do not in _NO_WORK)
        self._send(number, do, arguments)
        self._open[number] = question
        try:
            await question.over.wait()
        finally:
            question.take = None
            if number in self._open:
                with suppress(Hangup):
                    self._send(number, "cancel", {})
        if question.error is not None:
            raise question.error

    async def read(self) -> None:
        """Sort the replies until there are no more; run by the portal as a task of its own."""
        replies = self._child.replies
        end: Exception = Hangup()
        try:
            while not replies.exhausted:
                replies.changed.clear()
                data = replies.take_nowait()
                if data:
                    self._sort(data)
                    await anyio.lowlevel.checkpoint()
                elif not replies.ended:
                    await replies.changed.wait_async()
        except ProtocolViolation as violation:
            end = violation
            self._child.begin_stop(reason=str(violation))
        finally:
            self._hang_up(end)

    def _sort(self, data: bytes) -> None:
        if self._child.replies.overflowed:
            raise ProtocolViolation(
                peer=self._name,
                reason=f"more than {self._child.replies.capacity_bytes} bytes of replies waited",
                hint="Limits.max_message_bytes bounds it",
            )
        for reply in self._reader.feed(data):
            question = self._open.get(reply.id)
            if question is not None:
                if reply.kind in _ENDINGS:
                    del self._open[reply.id]
                question.hear(reply)

    def _hang_up(self, end: Exception) -> None:
        self._end = end
        for question in self._open.values():
            question.end(end)
        self._open.clear()

    def _send(self, number: int, do: str, arguments: Mapping[str, Any]) -> None:
        try:
            message = encode(number, do, arguments)
        except (TypeError, ValueError, RecursionError) as error:
            raise MisuseError(reason=f"this request cannot be written as JSON: {error}") from error
        try:
            self._child.stdin.write(message)
        except BrokenPipeError:
            raise Hangup from None
