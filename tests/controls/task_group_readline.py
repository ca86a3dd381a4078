"""Control N, the popular remedy: a task group of ``readline()`` tasks in the caller's event loop.

Kept as people write it. Do not repair it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

LIMIT = 4 * 1024 * 1024  # what is recommended against "Separator is not found"


class TaskGroupClient:
    """One request a line, one answer a line, from async and from sync code."""

    def __init__(self, argv: Sequence[str], on_log: Callable[[str], object]) -> None:
        self.argv = argv
        self.on_log = on_log
        self.pending: deque[Future[str]] = deque()

    async def run(self, use: Callable[[TaskGroupClient], Awaitable[None]]) -> int:
        """Start the child, use it while both of its pipes are read, and wait for its end."""
        self.process = await asyncio.create_subprocess_exec(
            *self.argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LIMIT,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.read(self.process.stdout, self.on_answer))
                group.create_task(self.read(self.process.stderr, self.on_log))
                await use(self)
        finally:
            await self.process.wait()
        assert self.process.returncode is not None
        return self.process.returncode

    async def read(self, stream: asyncio.StreamReader, handle: Callable[[str], object]) -> None:
        while line := await stream.readline():
            handle(line.decode())

    def on_answer(self, line: str) -> None:
        if self.pending:
            self.pending.popleft().set_result(line.rstrip("\n"))

    def send(self, request: str) -> Future[str]:
        assert self.process.stdin is not None
        answer: Future[str] = Future()
        self.pending.append(answer)
        self.process.stdin.write(request.encode() + b"\n")
        return answer

    async def ask(self, request: str) -> str:
        """Ask from async code."""
        assert self.process.stdin is not None
        answer = self.send(request)
        await self.process.stdin.drain()
        return await asyncio.wrap_future(answer)

    def ask_synchronously(self, request: str) -> str:
        """Ask from code that knows nothing of event loops, such as a chain's ``invoke``."""
        return self.send(request).result()
