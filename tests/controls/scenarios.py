"""What is done with a control: each scenario is a short program of a user. Observes nothing."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from tests.controls.task_group_readline import TaskGroupClient
from tests.controls.unread_pipe import UnreadPipeClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Report = Callable[[str, Any], None]

REQUEST = "hello"
MUCH_INPUT = ("y" * 99 + "\n") * 100_000  # 10 MB
BLOCKED = 30.0  # seconds in which the caller's loop does something else; the observer needs less


def _ask(client: UnreadPipeClient, report: Report) -> None:
    report("answer", client.ask(REQUEST))
    report("exit_status", client.close())


def _send_much(client: UnreadPipeClient, report: Report) -> None:
    client.send(MUCH_INPUT)
    report("answer", client.receive())
    report("exit_status", client.close())


def _send_little(client: UnreadPipeClient, report: Report) -> None:
    client.send(MUCH_INPUT[:10_000])
    report("answer", client.receive())
    report("exit_status", client.close())


def _receive(client: UnreadPipeClient, report: Report) -> None:
    report("answer", client.receive())
    report("exit_status", client.close())


def _stop(client: UnreadPipeClient, report: Report) -> None:
    report("answer", client.receive())
    report("exit_status", client.stop())


UNREAD_PIPE: dict[str, Callable[[UnreadPipeClient, Report], None]] = {
    "ask": _ask,
    "send_much": _send_much,
    "send_little": _send_little,
    "receive": _receive,
    "stop": _stop,
}


async def _ask_async(client: TaskGroupClient, report: Report) -> None:
    report("answer", await client.ask(REQUEST))
    await _close_stdin(client)


async def _ask_twice(client: TaskGroupClient, report: Report) -> None:
    await client.ask(REQUEST)
    await _ask_async(client, report)


async def _ask_synchronously(client: TaskGroupClient, report: Report) -> None:
    report("answer", client.ask_synchronously(REQUEST))
    await _close_stdin(client)


async def _block_the_loop(client: TaskGroupClient, report: Report) -> None:
    answer = client.send(REQUEST)
    time.sleep(BLOCKED)  # noqa: ASYNC251 - this is the fault
    report("answer", await asyncio.wrap_future(answer))
    await _close_stdin(client)


async def _wait_for_exit(client: TaskGroupClient, report: Report) -> None:
    """Leave it to ``run``, which waits for the ends of both pipes and for the exit."""


async def _close_stdin(client: TaskGroupClient) -> None:
    assert client.process.stdin is not None
    client.process.stdin.close()


def _ignore(line: str) -> None:
    """Look at a line of log and be content."""


def _raise(line: str) -> None:
    raise RuntimeError("this observer cannot bear " + line[:20])


TASK_GROUP_READLINE: dict[
    str, tuple[Callable[[TaskGroupClient, Report], Awaitable[None]], Callable[[str], object]]
] = {
    "ask": (_ask_async, _ignore),
    "ask_twice": (_ask_twice, _ignore),
    "ask_synchronously": (_ask_synchronously, _ignore),
    "block_the_loop": (_block_the_loop, _ignore),
    "observer_raises": (_ask_async, _raise),
    "wait_for_exit": (_wait_for_exit, _ignore),
}

SCENARIOS = {"U": list(UNREAD_PIPE), "N": list(TASK_GROUP_READLINE)}


def run_unread_pipe(argv: Sequence[str], scenario: str, report: Report) -> None:
    client = UnreadPipeClient(argv)
    report("spawned", client.process.pid)
    UNREAD_PIPE[scenario](client, report)


async def run_task_group_readline(argv: Sequence[str], scenario: str, report: Report) -> None:
    conversation, on_log = TASK_GROUP_READLINE[scenario]

    async def use(client: TaskGroupClient) -> None:
        report("spawned", client.process.pid)
        await conversation(client, report)

    asyncio.get_running_loop().set_task_factory(_reporting_factory(report))
    report("exit_status", await TaskGroupClient(argv, on_log).run(use))


def _reporting_factory(report: Report) -> Callable[..., asyncio.Task[Any]]:
    """Make tasks whose error is reported when it happens, not when somebody awaits them."""

    def tell(task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            report("task_error", f"{type(error).__name__}: {error}"[:200])

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        task.add_done_callback(tell)
        return task

    return make
