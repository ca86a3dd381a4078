"""Many callers of one engine: threads, loops, tasks, those who leave, those who call back."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import trio

from safe_llm.engines.lease import lease
from safe_llm.engines.settings import EngineSettings
from safe_llm.errors import MisuseError
from safe_llm.events import Event, LineWritten
from safe_llm.limits import Limits
from safe_llm.observers.dispatcher import dispatcher
from safe_llm.process.hub import hub
from safe_llm.supervise.portal import portal
from tests.children.hold_gil import hold_gil
from tests.engine_kinds import becomes_idle, tokens_predicted
from tests.llama_engine import (
    BOUND,
    ENDLESS,
    HELLO,
    PATIENT,
    child_of,
    comes_true,
    leased,
    temporary_files_of_its_own,
)
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from safe_llm.engines.lease import Lease
    from tests.engine_kinds import Kind
    from tests.faults.conftest import Figure

TOKENS = int(HELLO["n_predict"])  # type: ignore[call-overload]


@pytest.mark.row(47)
def test_one_lease_serves_one_loop_after_another(engine: Lease) -> None:
    async def main() -> str | None:
        return (await engine.complete_async(HELLO, PATIENT)).finish_reason

    before = tokens_predicted(engine)
    assert [asyncio.run(main()), asyncio.run(main()), trio.run(main)] == ["length"] * 3
    assert tokens_predicted(engine) == before + 3 * TOKENS


@pytest.mark.row(47)
def test_eight_threads_and_three_loops_at_once_are_answered_and_each_request_is_sent_once(
    engine: Lease, figure: Figure
) -> None:
    each = 5

    def in_a_thread() -> int:
        return sum(engine.complete(HELLO, PATIENT).usage is not None for _ in range(each))

    async def in_a_loop() -> int:
        found = await asyncio.gather(*(engine.complete_async(HELLO, PATIENT) for _ in range(each)))
        return sum(one.usage is not None for one in found)

    before = tokens_predicted(engine)
    with ThreadPoolExecutor(11) as pool, figure("55 calls from 8 threads and 3 loops"):
        futures = [pool.submit(in_a_thread) for _ in range(8)]
        futures += [pool.submit(asyncio.run, in_a_loop()) for _ in range(3)]
        answered = sum(one.result(4 * BOUND) for one in futures)
    assert answered == 11 * each
    assert tokens_predicted(engine) == before + 11 * each * TOKENS


@pytest.mark.row(52)
@pytest.mark.timeout(60)
def test_200_tasks_and_8_threads_of_whom_half_leave_need_no_more_threads_and_leave_no_work(
    engine: Lease, figure: Figure
) -> None:
    threads = threading.active_count()
    most: list[int] = []

    async def stay(_: int) -> bool:
        answer = await engine.complete_async(HELLO, PATIENT)
        most.append(threading.active_count())
        return answer.usage is not None

    async def leave(_: int) -> bool:
        async for _chunk in engine.stream(HELLO | {"n_predict": 200}, PATIENT):
            break
        return True

    async def main() -> list[bool]:
        return await asyncio.gather(*((stay if one % 2 else leave)(one) for one in range(200)))

    def in_a_thread(_: int) -> bool:
        return engine.complete(HELLO, PATIENT).usage is not None

    patient = 3 * BOUND
    with ThreadPoolExecutor(9) as pool, figure("208 calls, half of the tasks leave"):
        loop = pool.submit(asyncio.run, main())
        answers = list(pool.map(in_a_thread, range(8), timeout=patient))
        assert answers + loop.result(patient) == [True] * 208
    assert max(most) <= threads + 9  # the pool's own
    assert becomes_idle(engine)
    assert engine.status().calls_in_flight == 0
    assert threading.active_count() <= threads


@pytest.mark.row(51)
def test_an_observer_may_call_the_engine_that_it_observes(kind: Kind, model: Path) -> None:
    answers: list[str | None] = []

    def call_back(event: Event) -> None:
        if isinstance(event, LineWritten) and kind.log_of_a_call in event.text and not answers:
            answers.append("")
            answers.append(taken.complete(HELLO, PATIENT).finish_reason)

    with leased(kind.spec(model), observers=(call_back,)) as taken:
        taken.complete(HELLO, PATIENT)
        assert comes_true(lambda: answers == ["", "length"])


@pytest.mark.row(51)
def test_an_observer_that_never_returns_or_raises_delays_no_call(
    kind: Kind, model: Path, figure: Figure
) -> None:
    over = threading.Event()

    def block(event: Event) -> None:
        over.wait(3 * BOUND)

    def fail(event: Event) -> None:
        raise RuntimeError("as it was told")

    try:
        took = figure("a start and 20 calls, observed by one who blocks")
        with leased(kind.spec(model), observers=(fail, block)) as taken, took:
            for _ in range(20):
                taken.complete(HELLO, PATIENT)
    finally:
        over.set()
        assert dispatcher().flush(BOUND)


def _on_the_portal(do: Callable[[], object]) -> None:
    async def work() -> None:
        do()

    portal().submit(work, "test").result()


def _on_the_hub(do: Callable[[], object]) -> None:
    raised: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            do()
        except BaseException as error:
            raised.append(error)
        finally:
            done.set()

    hub().loop.post(run)
    assert done.wait(BOUND)
    if raised:
        raise raised[0]


@pytest.mark.row(51)
@pytest.mark.parametrize("where", [_on_the_portal, _on_the_hub])
@pytest.mark.parametrize("what", ["start", "complete", "tokenize", "stream", "close"])
def test_a_blocking_call_on_one_of_our_own_threads_is_refused_and_begins_nothing(
    what: str, where: Callable[[Callable[[], object]], None], kind: Kind, model: Path
) -> None:
    with leased(kind.spec(model)) as taken:
        calls: dict[str, Callable[[], object]] = {
            "start": lambda: taken.start(PATIENT),
            "complete": lambda: taken.complete(ENDLESS, PATIENT),
            "tokenize": lambda: taken.tokenize("hello", PATIENT),
            "stream": lambda: next(taken.stream(ENDLESS, PATIENT)),
            "close": taken.close,
        }
        with pytest.raises(MisuseError, match="would wait for itself"):
            where(calls[what])
        if what == "stream":  # which is handed to the portal when it is made
            taken.start(PATIENT)
            assert becomes_idle(taken)
        else:
            assert taken.status().state == "idle"


def test_a_lease_that_is_dropped_stops_its_engine(kind: Kind, model: Path) -> None:
    with temporary_files_of_its_own() as folder:
        dropped = lease(kind.spec(model), EngineSettings())
        dropped.start(PATIENT)
        child = child_of(dropped)
        del dropped
        gc.collect()
        assert child.closed.wait(BOUND)
        assert child.stop_reason == "garbage collected"
        assert comes_true(lambda: list(folder.iterdir()) == [])


@pytest.mark.row(9)
def test_a_blocking_call_inside_a_running_loop_is_answered(engine: Lease, figure: Figure) -> None:
    async def main() -> str | None:
        with figure("a blocking call on the loop's own thread"):
            return engine.complete(HELLO, PATIENT).finish_reason

    assert asyncio.run(main()) == "length"


@pytest.mark.row(9)
def test_an_engine_is_drained_and_answers_while_the_loop_of_its_caller_is_blocked(
    kind: Kind, tmp_path: Path
) -> None:
    async def main(talkative: Lease) -> tuple[bool, str | None]:
        task = asyncio.create_task(talkative.complete_async(HELLO, PATIENT))
        while talkative.status().calls_in_flight == 0:  # noqa: ASYNC110  it tells no loop of ours
            await asyncio.sleep(0.001)
        # The loop is blocked here, until the answer is there and more than a pipe was drained.
        answered = comes_true(lambda: talkative.status().calls_in_flight == 0)
        drained = talkative.status().stderr_bytes > 65536
        assert not task.done()
        return answered and drained, (await task).finish_reason

    layered = tiny_gguf(tmp_path, layers=16)  # whose loading alone would fill a pipe
    with leased(kind.talkative(layered)) as talkative:
        assert asyncio.run(main(talkative)) == (True, "length")


@pytest.mark.row(10)
def test_a_call_is_answered_though_the_interpreter_was_held_for_longer_than_its_limits(
    engine: Lease, figure: Figure
) -> None:
    limits = Limits(call=1.0, total=1.0, first_token=0.8, gap=0.8, progress=0.8, job=1.0)
    stream = engine.stream(HELLO | {"n_predict": 300}, limits)
    next(stream)
    with figure("the interpreter held for 1.5 s in a call"):
        hold_gil(1.5)
        *_, last = stream
    assert last.finish_reason == "length"
    assert engine.status().heartbeat_gap > 1.0
