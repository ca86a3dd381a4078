"""The conversation with one worker process: what was asked, what came back, what is still open.

Lives on the portal, for one incarnation. Sets no deadline: those are the call's.
"""

from __future__ import annotations

import math
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from safe_llm.errors import MisuseError, ProtocolViolation
from safe_llm.protocol.worker import Reply, ReplyReader, encode
from safe_llm.supervise.program import Busy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from anyio.streams.memory import MemoryObjectSendStream

    from safe_llm.process.child import Child

LOAD = 0  # the number of the first request, and of every reply that belongs to it
_ENDINGS = ("done", "error")
_NO_WORK = ("load", "ping")


class Hangup(Exception):
    """The worker's side of the conversation has ended, most likely with the worker."""


@dataclass(eq=False)
class _Question:
    """A request that has not been concluded, and who waits for its replies, if anybody still does.

    The stream has no bound: what a worker can say to one request is bounded by its context.
    """

    replies: MemoryObjectSendStream[Reply]
    is_work: bool
    answered: bool = False


class WorkerSession:
    """Requests to one worker, and its replies sorted by request."""

    def __init__(self, child: Child, name: str, max_message_bytes: int) -> None:
        self._child = child
        self._name = name
        self._reader = ReplyReader(max_message_bytes, peer=name)
        self._numbers = count(LOAD)
        self._open: dict[int, _Question] = {}
        self._over = False
        self.failure: ProtocolViolation | None = None

    @property
    def busy(self) -> Busy:
        """The calls that the worker has not given back, whether or not anybody waits for them."""
        work = [one for one in self._open.values() if one.is_work]
        return Busy(len(work), sum(1 for one in work if not one.answered))

    @asynccontextmanager
    async def ask(
        self, do: str, arguments: Mapping[str, Any] | None = None
    ) -> AsyncIterator[AsyncIterator[Reply]]:
        """Send a request; the replies inside the block end with a ``done`` or an ``error``.

        Leaving the block before that cancels the work. Raises ``Hangup`` when the conversation
        ends first, ``ProtocolViolation`` when the worker said what nobody can understand, and
        ``MisuseError`` for what cannot be written as JSON.
        """
        number = next(self._numbers)
        replies, receive = anyio.create_memory_object_stream[Reply](math.inf)
        if self._over:
            raise self.failure or Hangup
        self._send(number, do, arguments)
        self._open[number] = _Question(replies, is_work=do not in _NO_WORK)
        try:
            with receive:
                yield self._until_the_end(receive)
        finally:
            replies.close()
            if number in self._open:
                with suppress(Hangup):
                    self._send(number, "cancel", None)

    async def _until_the_end(self, receive: AsyncIterator[Reply]) -> AsyncIterator[Reply]:
        async for reply in receive:
            yield reply
            if reply.kind in _ENDINGS:
                return
        raise self.failure or Hangup

    async def read(self) -> None:
        """Sort the replies until there are no more; run by the portal as a task of its own."""
        replies = self._child.replies
        try:
            while not replies.exhausted:
                replies.changed.clear()
                data = replies.take_nowait()
                if data:
                    self._sort(data)
                elif not replies.ended:
                    await replies.changed.wait_async()
                await anyio.lowlevel.checkpoint()
        except ProtocolViolation as violation:
            self.failure = violation
            self._child.begin_stop(reason=str(violation))
        finally:
            self._hang_up()

    def _sort(self, data: bytes) -> None:
        if self._child.replies.overflowed:
            raise ProtocolViolation(
                peer=self._name,
                reason=f"more than {self._child.replies.capacity_bytes} bytes of replies waited",
                hint="Limits.max_message_bytes bounds it",
            )
        for reply in self._reader.feed(data):
            question = self._open.get(reply.id)
            if question is None:
                continue
            question.answered = True
            if reply.kind in _ENDINGS:
                del self._open[reply.id]
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # nobody waits
                question.replies.send_nowait(reply)

    def _hang_up(self) -> None:
        self._over = True
        for question in self._open.values():
            question.replies.close()
        self._open.clear()

    def _send(self, number: int, do: str, arguments: Mapping[str, Any] | None) -> None:
        try:
            message = encode(number, do, arguments)
        except (TypeError, ValueError, RecursionError) as error:
            raise MisuseError(reason=f"this request cannot be written as JSON: {error}") from error
        try:
            self._child.stdin.write(message)
        except BrokenPipeError:
            raise Hangup from None
