"""Whoever stops waiting for an engine, in whatever way, ends that work and nothing else."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING

import pytest
import trio

from safe_llm.errors import CallTimeout, EngineDied, MisuseError
from safe_llm.limits import Limits
from tests.engine_kinds import becomes_idle
from tests.llama_engine import BOUND, ENDLESS, HELLO, PATIENT, comes_true, leased, pid_of
from tests.models import smollm2_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safe_llm.engines.lease import Lease
    from tests.engine_kinds import Kind
    from tests.faults.conftest import Figure


@pytest.fixture
def cancelled(engine: Lease, figure: Figure) -> Iterator[Lease]:
    """Judge what is done with the engine: it becomes idle, and it is the same process."""
    pid = pid_of(engine)
    yield engine
    with figure("the engine is idle again"):
        assert becomes_idle(engine)
    assert engine.status().calls_in_flight == 0
    assert engine.complete(HELLO, PATIENT).usage is not None
    assert pid_of(engine) == pid


async def _wait_until_busy(engine: Lease) -> None:
    while engine.status().calls_in_flight == 0:  # noqa: ASYNC110  it tells no loop of ours
        await asyncio.sleep(0.001)


def test_a_task_that_is_cancelled_ends_the_work(cancelled: Lease) -> None:
    async def main() -> None:
        task = asyncio.create_task(cancelled.complete_async(ENDLESS, PATIENT))
        await _wait_until_busy(cancelled)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_wait_that_is_given_up_ends_the_work(cancelled: Lease) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cancelled.complete_async(ENDLESS, PATIENT), 0.2)

    asyncio.run(main())


def test_a_trio_scope_that_is_cancelled_ends_the_work(cancelled: Lease) -> None:
    async def main() -> None:
        with trio.move_on_after(0.2) as scope:
            await cancelled.complete_async(ENDLESS, PATIENT)
        assert scope.cancelled_caught

    trio.run(main)


def test_a_stream_that_is_left_by_break_ends_the_work(cancelled: Lease) -> None:
    for _ in cancelled.stream(ENDLESS, PATIENT):
        break


def test_an_asynchronous_stream_that_is_left_by_break_ends_the_work(cancelled: Lease) -> None:
    async def main() -> None:
        async for _ in cancelled.stream(ENDLESS, PATIENT):
            break

    asyncio.run(main())


def test_a_stream_that_is_read_in_trio_and_left_ends_the_work(cancelled: Lease) -> None:
    async def main() -> None:
        async for _ in cancelled.stream(ENDLESS, PATIENT):
            break

    trio.run(main)


def test_a_stream_that_is_dropped_unread_ends_the_work(cancelled: Lease) -> None:
    stream = cancelled.stream(ENDLESS, PATIENT)
    assert comes_true(lambda: cancelled.status().calls_in_flight == 1)
    del stream


def test_a_stream_in_a_dropped_cycle_is_collected_and_ends_the_work(cancelled: Lease) -> None:
    def make_a_cycle() -> None:
        cycle: list[object] = [cancelled.stream(ENDLESS, PATIENT)]
        next(iter(cycle[0]))  # type: ignore[call-overload]
        cycle.append(cycle)

    make_a_cycle()
    gc.collect()


def test_a_stream_that_is_closed_ends_the_work(cancelled: Lease) -> None:
    stream = cancelled.stream(ENDLESS, PATIENT)
    next(stream)
    stream.close()
    stream.close()
    with pytest.raises(MisuseError, match="cancelled by its caller"):
        list(stream)


def test_a_timeout_ends_the_work(cancelled: Lease) -> None:
    with pytest.raises(CallTimeout):
        cancelled.complete(ENDLESS, PATIENT.with_changes(total=0.2))


def test_a_timeout_of_a_stream_ends_the_work(cancelled: Lease) -> None:
    with pytest.raises(CallTimeout):
        list(cancelled.stream(ENDLESS, PATIENT.with_changes(total=0.2)))


def test_a_reader_that_is_slower_than_every_limit_gets_the_whole_answer(cancelled: Lease) -> None:
    stream = cancelled.stream(HELLO, Limits(total=1.0, first_token=0.8, gap=0.5))
    first = next(stream)
    threading.Event().wait(1.2)  # the reader is busy with something else
    assert len([first, *stream]) == 6  # five tokens, and the end


@pytest.mark.row(34)
def test_a_loop_that_ends_at_any_moment_of_a_call_ends_the_work(cancelled: Lease) -> None:
    async def main(steps: int) -> None:
        task = asyncio.create_task(cancelled.complete_async(ENDLESS, PATIENT))
        await asyncio.sleep(steps * 0.0005)  # before it is sent, while it is, or long after
        if steps % 2:
            task.cancel()  # the others are cancelled by the end of the loop

    for steps in range(40):
        asyncio.run(main(steps))


@pytest.mark.row(34)
def test_a_loop_that_ends_at_any_moment_of_a_stream_ends_the_work(cancelled: Lease) -> None:
    async def read() -> None:
        async for _ in cancelled.stream(ENDLESS, PATIENT):
            pass

    async def main(steps: int) -> None:
        task = asyncio.create_task(read())
        await asyncio.sleep(steps * 0.001)
        assert not task.done()

    for steps in range(20):
        asyncio.run(main(steps))


def test_closing_ends_the_calls_of_others_and_then_the_process(kind: Kind, model: Path) -> None:
    ended: list[BaseException] = []

    def call() -> None:
        try:
            other.complete(ENDLESS, PATIENT)
        except EngineDied as error:
            ended.append(error)

    with leased(kind.spec(model)) as other:
        other.start(PATIENT)
        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert comes_true(lambda: other.status().calls_in_flight == 4)
        other.close()
        for thread in threads:
            thread.join(BOUND)
    assert ["close()" in str(one) for one in ended] == [True] * 4


@pytest.mark.smollm2
@pytest.mark.slow
def test_an_engine_that_evaluates_a_prompt_is_not_killed_for_being_unable_to_stop(
    kind: Kind, model: Path, figure: Figure
) -> None:
    body = {"prompt": "one two three four five six seven " * 25, "n_predict": 1}
    spec = kind.spec(smollm2_path(), n_ctx=4096, n_batch=2048, n_ubatch=2048, n_threads_batch=1)
    with leased(spec, PATIENT.with_changes(release=0.5)) as engine:
        engine.start(PATIENT)
        pid = pid_of(engine)
        with pytest.raises(CallTimeout):
            engine.complete(body, PATIENT.with_changes(total=0.1, release=0.5))
        with figure("a prompt of 175 tokens is evaluated to its end, and it is idle"):
            assert becomes_idle(engine)
        assert pid_of(engine) == pid
        assert engine.status().restarts == 0
