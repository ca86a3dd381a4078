"""A Signal wakes whoever waits, in a thread, on asyncio or on Trio, and never hangs who sets it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing

from safe_llm.errors import MisuseError
from safe_llm.process.waking import (
    Signal,
    _Patience,
    retire_this_thread,
    serve_from_this_thread,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND = 10.0  # seconds for what takes microseconds, on a machine that does much else
LONG = 600.0  # a timeout that nobody lives to see

both_loops = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


def in_thread(work: Callable[[], object]) -> Callable[[], bool]:
    """Run ``work`` on a thread; the result says, within a bound, whether it came to an end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def ended() -> bool:
        thread.join(BOUND)
        return not thread.is_alive()

    return ended


def test_a_waiting_thread_is_woken_by_another() -> None:
    one = Signal()
    ended = in_thread(lambda: one.wait(LONG))
    one.set()
    assert ended()


def test_a_set_before_the_wait_is_seen() -> None:
    one = Signal()
    one.set()
    assert one.wait(0.0)


def test_a_wait_that_nobody_ends_is_over_at_its_timeout() -> None:
    assert not Signal().wait(0.01)
    assert not Signal().wait_until(lambda: False, 0.01)


@pytest.mark.parametrize("timeout", [float("inf"), 1e12, threading.TIMEOUT_MAX * 2])
def test_a_timeout_that_no_lock_accepts_is_fine(timeout: float) -> None:
    one = Signal()
    ended = in_thread(lambda: one.wait(timeout))
    one.set()
    assert ended()


def test_all_who_wait_are_woken() -> None:
    one = Signal()
    waiting = [in_thread(lambda: one.wait(LONG)) for _ in range(20)]
    one.set()
    assert all(ended() for ended in waiting)


def test_a_set_that_is_cleared_at_once_has_still_woken_those_who_waited() -> None:
    one, woken = Signal(), list[bool]()
    ended = in_thread(lambda: woken.append(one.wait(LONG)))
    while not one._wakers:
        pass
    one.set()
    one.clear()
    assert ended()
    assert woken == [True]


def test_a_change_is_not_missed_when_another_waiter_looks_between_our_look_and_our_wait() -> None:
    one = Signal()
    looks: list[bool] = []
    state = False

    def holds() -> bool:
        nonlocal state
        looks.append(state)
        if len(looks) == 2:  # the last look before the wait
            state = True
            one.set()
            assert one.wait_until(lambda: state, 0)
            return False  # as it was when we looked
        return state

    assert in_thread(lambda: one.wait_until(holds, LONG))()


@both_loops
def test_the_same_holds_for_a_task(anyio_backend: str) -> None:
    one = Signal()
    state, looks = False, 0

    def holds() -> bool:
        nonlocal state, looks
        looks += 1
        if looks == 2:
            state = True
            one.set()
            return False
        return state

    async def main() -> None:
        with anyio.fail_after(BOUND):
            assert await one.wait_until_async(holds, LONG)

    anyio.run(main, backend=anyio_backend)


@both_loops
def test_a_task_is_woken_by_a_thread(anyio_backend: str) -> None:
    one = Signal()

    async def main() -> None:
        with anyio.fail_after(BOUND):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(one.wait_async, LONG)
                threading.Thread(target=one.set).start()

    anyio.run(main, backend=anyio_backend)
    assert not one._wakers


@both_loops
def test_a_cancelled_wait_leaves_nobody_to_be_woken(anyio_backend: str) -> None:
    one = Signal()

    async def main() -> None:
        with anyio.move_on_after(0.01) as scope:
            await one.wait_async()
        assert scope.cancelled_caught
        assert not await one.wait_async(0.01)

    anyio.run(main, backend=anyio_backend)
    assert not one._wakers


@both_loops
def test_a_task_whose_condition_always_holds_leaves_the_loop_to_others(anyio_backend: str) -> None:
    one = Signal()

    async def main() -> None:
        with anyio.fail_after(BOUND), anyio.move_on_after(0.05):
            while True:
                await one.wait_until_async(lambda: True)

    anyio.run(main, backend=anyio_backend)


def test_set_is_silent_when_the_loop_of_a_waiter_is_gone() -> None:
    one = Signal()

    async def begin_to_wait() -> None:
        waiting.append(asyncio.create_task(one.wait_async()))
        while not one._wakers:  # noqa: ASYNC110 - what is waited for is no event
            await asyncio.sleep(0)

    waiting: list[asyncio.Task[bool]] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin_to_wait())
    loop.close()  # under its waiter
    one.set()
    assert not one._wakers
    waiting[0]._log_destroy_pending = False  # type: ignore[attr-defined]  # nobody awaits it again


def test_set_is_silent_when_trio_is_gone() -> None:
    one = Signal()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.wait_async)
            await trio.testing.wait_all_tasks_blocked()
            (key, wake) = next(iter(one._wakers.items()))
            nursery.cancel_scope.cancel()
        one._wakers[key] = wake

    trio.run(main)
    one.set()


@both_loops
def test_a_condition_that_came_true_while_the_loop_was_blocked_is_no_timeout(
    anyio_backend: str,
) -> None:
    one = Signal()
    released = threading.Event()

    def come_true() -> None:
        one.set()
        released.set()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                assert await one.wait_async(0.01)

            tasks.start_soon(wait)
            while not one._wakers:
                await anyio.lowlevel.checkpoint()
            threading.Timer(0.1, come_true).start()
            released.wait(BOUND)  # the loop stands still, far beyond the timeout of the task

    anyio.run(main, backend=anyio_backend)


def test_time_in_which_the_process_did_not_run_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("safe_llm.process.waking.monotonic", lambda: now)
    patience = _Patience(2.0)
    now += patience.begin_slice()
    patience.end_slice()
    assert patience.left == pytest.approx(1.5)
    patience.begin_slice()
    now += 5.0  # stopped, or asleep
    patience.end_slice()
    assert patience.left == pytest.approx(1.0)


def test_after_a_gap_there_is_a_moment_left_to_deliver_what_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("safe_llm.process.waking.monotonic", lambda: now)
    patience = _Patience(0.1)
    patience.begin_slice()
    now += 3600.0
    patience.end_slice()
    assert patience.left > 0


def test_a_blocking_wait_on_a_service_thread_is_refused() -> None:
    refused: list[str] = []

    def serve() -> None:
        serve_from_this_thread()
        try:
            Signal().wait(LONG)
        except MisuseError as error:
            refused.append(str(error))
        finally:
            retire_this_thread()

    assert in_thread(serve)()
    assert "would wait for itself" in refused[0]


def test_ctrl_c_ends_a_wait_in_the_main_thread() -> None:
    program = (
        "from safe_llm.process.waking import Signal\n"
        "import os, signal, threading\n"
        "one = Signal()\n"
        "def interrupt():\n"
        "    while not one._wakers: pass\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=interrupt, daemon=True).start()\n"
        "try:\n"
        "    one.wait(600)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        timeout=BOUND,
        check=False,
        cwd=os.getcwd(),  # noqa: PTH109 - a string, as subprocess wants it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert done.stdout == b"interrupted\n", done.stderr
