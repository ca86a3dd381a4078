from __future__ import annotations

import asyncio
import gc
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest
import trio

from safe_llm.errors import CallTimeout, MisuseError
from safe_llm.process.clock import RunClock
from safe_llm.supervise import job as jobs
from safe_llm.supervise.job import Job, Stream
from safe_llm.supervise.portal import portal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BOUND = 10.0


class Work:
    """Work that goes on until it is cancelled, and tells when it began and when it was."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.cancelled = threading.Event()

    async def run(self) -> None:
        self.began.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()

    async def feed(self, emit: Callable[[int], None]) -> None:
        emit(1)
        emit(2)
        await self.run()


async def _answer(value: int) -> int:
    await anyio.lowlevel.checkpoint()
    return value


async def _fail() -> None:
    raise ValueError("as it was told")


def test_a_thread_gets_what_the_work_returned_or_raised() -> None:
    assert portal().submit(partial(_answer, 7), "test").result() == 7
    with pytest.raises(ValueError, match="as it was told"):
        portal().submit(_fail, "test").result()


@pytest.mark.parametrize("run", [asyncio.run, lambda main: trio.run(lambda: main)])
def test_a_task_of_either_loop_gets_what_the_work_returned(
    run: Callable[[Awaitable[int]], int],
) -> None:
    async def main() -> int:
        return await portal().submit(partial(_answer, 7), "test").result_async()

    assert run(main()) == 7


def test_a_job_that_nobody_waits_for_any_more_is_cancelled() -> None:
    work = Work()

    async def main() -> None:
        with anyio.move_on_after(0.05):
            await portal().submit(work.run, "test").result_async()

    asyncio.run(main())
    assert work.cancelled.wait(BOUND)


def test_cancelling_a_job_ends_whoever_waits_for_it() -> None:
    work = Work()
    job = portal().submit(work.run, "test")
    assert work.began.wait(BOUND)
    job.cancel()
    with pytest.raises(MisuseError, match="cancelled by its caller"):
        job.result()


def test_a_job_cancelled_at_once_is_found_and_cancelled() -> None:
    work = Work()
    job = portal().submit(work.run, "test")
    job.cancel()
    with pytest.raises(MisuseError):
        job.result()
    assert not work.began.is_set() or work.cancelled.wait(BOUND)


def test_a_stream_gives_its_items_then_its_error() -> None:
    async def feed(emit: Callable[[int], None]) -> None:
        emit(1)
        emit(2)
        raise ValueError("as it was told")

    stream: Stream[int] = portal().stream(feed, "test")
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(ValueError, match="as it was told"):
        next(stream)


def test_leaving_a_stream_by_break_cancels_the_work() -> None:
    work = Work()
    for _ in portal().stream(work.feed, "test"):
        break
    gc.collect()
    assert work.cancelled.wait(BOUND)


def test_leaving_an_asynchronous_stream_by_break_cancels_the_work() -> None:
    work = Work()

    async def main() -> None:
        async for _ in portal().stream(work.feed, "test"):
            break

    asyncio.run(main())
    gc.collect()
    assert work.cancelled.wait(BOUND)


def test_closing_a_stream_cancels_the_work_and_ends_its_reader() -> None:
    work = Work()
    stream: Stream[int] = portal().stream(work.feed, "test")
    assert next(stream) == 1
    stream.close()
    assert work.cancelled.wait(BOUND)
    with pytest.raises(MisuseError, match="cancelled"):
        list(stream)


def test_a_caller_whose_loop_is_blocked_finds_its_answer_when_it_is_back() -> None:
    async def main() -> int:
        job = portal().submit(partial(_answer, 7), "test")
        time.sleep(0.3)  # noqa: ASYNC251  this is the fault
        assert job.done.is_set
        return await job.result_async()

    assert asyncio.run(main()) == 7


def test_a_blocking_wait_on_the_portal_is_refused_and_what_it_waits_for_is_cancelled() -> None:
    work = Work()

    async def on_the_portal() -> None:
        portal().submit(work.run, "test").result()

    with pytest.raises(MisuseError, match="would wait for itself"):
        portal().submit(on_the_portal, "test").result()
    assert not work.began.is_set() or work.cancelled.wait(BOUND)


def test_a_service_that_raises_is_kept_in_mind_and_harms_nobody() -> None:
    portal().post(lambda: portal().spawn_task(_fail, "a service"))
    assert portal().submit(partial(_answer, 7), "test").result() == 7
    assert any("as it was told" in one for one in portal().errors)
    portal().errors.clear()


def test_a_block_is_cancelled_when_its_time_is_over_and_not_before() -> None:
    async def story() -> list[bool]:
        cancelled = []
        for limit, longest in ((0.1, BOUND), (None, 0.3)):
            with portal().within(limit) as scope, anyio.move_on_after(longest):
                await anyio.sleep_forever()
            cancelled.append(scope.cancelled_caught)
        return cancelled

    assert portal().submit(story, "test").result() == [True, False]


def test_a_portal_that_gets_no_processor_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "_SLICE", 0.01)
    monkeypatch.setattr(jobs, "_STARVED", 0.05)
    cancelled: list[object] = []
    clock = RunClock()
    job: Job[None] = Job("starved", clock, cancelled.append)
    threading.Event().wait(0.02)  # so old that the portal's heart seems to stand still
    with pytest.raises(CallTimeout, match="portal heartbeat"):
        job.result()
    assert cancelled == [job]


def test_a_day_that_the_wall_clock_jumps_expires_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time
    job = portal().submit(Work().run, "test")
    with monkeypatch.context() as patched:
        for days in (1, -1):
            patched.setattr(time, "time", lambda days=days: now() + days * 86_400)
            assert portal().submit(partial(_answer, 7), "test").result() == 7
            assert not job.done.is_set
    job.cancel()
