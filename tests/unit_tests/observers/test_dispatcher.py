"""An observer may raise, block or fork: whoever posts goes on, and so do the other observers."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from safe_llm.errors import MisuseError
from safe_llm.events import Event, LineWritten, ObserverFailed, PipeLeaked
from safe_llm.observers.dispatcher import Dispatcher, dispatcher

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND = 10.0  # seconds until a wait in these tests is a failure
SOON = 0.05  # the patience of a dispatcher that has to notice a blocked observer


def line(text: str = "x") -> LineWritten:
    return LineWritten(source="engine", stream="stderr", text=text, level=logging.INFO)


class Gate:
    """An observer that blocks until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.seen: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.entered.set()
        assert self.opened.wait(2 * BOUND)
        self.seen.append(event)


@pytest.fixture
def gates() -> Iterator[list[Gate]]:
    made = [Gate() for _ in range(5)]
    yield made
    for gate in made:
        gate.opened.set()


def test_events_arrive_in_order_on_one_daemon_thread() -> None:
    seen: list[str] = []
    threads: set[threading.Thread] = set()

    def observe(event: Event) -> None:
        assert isinstance(event, LineWritten)
        seen.append(event.text)
        threads.add(threading.current_thread())

    mine = Dispatcher()
    for number in range(1_000):
        mine.post(line(str(number)), (observe,))
    assert mine.flush(BOUND)
    assert seen == [str(number) for number in range(1_000)]
    (thread,) = threads
    assert thread.name == "safe-llm-observers"
    assert thread.daemon


def test_no_thread_is_started_for_nobody() -> None:
    mine = Dispatcher()
    before = threading.active_count()
    mine.post(line(), ())
    assert threading.active_count() == before
    assert mine.flush(0.0)


def test_many_threads_post_and_nothing_is_lost_or_made_twice() -> None:
    seen: list[Event] = []
    mine = Dispatcher(capacity=100_000)

    def post_many() -> None:
        for _ in range(500):
            mine.post(line(), (seen.append,))

    posters = [threading.Thread(target=post_many) for _ in range(8)]
    for poster in posters:
        poster.start()
    for poster in posters:
        poster.join(BOUND)
    assert mine.flush(BOUND)
    assert len(seen) == 4_000
    assert len({id(event) for event in seen}) == 4_000


def test_an_observer_that_raises_is_told_once_and_goes_on_being_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[Event] = []
    told: list[Event] = []

    def faulty(event: Event) -> None:
        calls.append(event)
        raise ValueError("disk is\nfull")

    mine = Dispatcher()
    for _ in range(10):
        mine.post(line(), (faulty, told.append))
    assert mine.flush(BOUND)
    assert mine.flush(BOUND)  # the report was queued behind the first flush's mark
    assert len(calls) == 10
    assert mine.statistics().failed == 10
    failures = [event for event in told if isinstance(event, ObserverFailed)]
    assert len(failures) == 1
    assert "faulty" in failures[0].observer
    assert "ValueError: disk is full" in failures[0].reason
    assert __file__ in failures[0].reason
    assert [record.name for record in caplog.records] == ["safe_llm.observers"]
    assert len(told) == 11


def test_an_observer_that_exits_does_not_end_the_thread() -> None:
    def leave(_: Event) -> None:
        raise SystemExit(3)

    seen: list[Event] = []
    mine = Dispatcher()
    mine.post(line(), (leave, seen.append))
    assert mine.flush(BOUND)
    assert mine.flush(BOUND)
    assert isinstance(seen[0], LineWritten)


def test_an_observer_whose_repr_and_error_cannot_be_shown_is_told_all_the_same() -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError

        def __call__(self, event: Event) -> None:
            raise Unspeakable

    told: list[Event] = []
    mine = Dispatcher()
    mine.post(line(), (Hostile(), told.append))
    assert mine.flush(BOUND)
    assert mine.flush(BOUND)
    (failure,) = [event for event in told if isinstance(event, ObserverFailed)]
    assert failure.observer.endswith("Hostile")


def test_the_others_go_on_while_one_blocks_and_it_is_served_again_when_it_returns(
    gates: list[Gate],
) -> None:
    gate = gates[0]
    seen: list[Event] = []
    mine = Dispatcher(patience=SOON)
    mine.post(line("first"), (gate, seen.append))
    assert gate.entered.wait(BOUND)
    for _ in range(10):
        mine.post(line(), (gate, seen.append))
    assert mine.flush(BOUND)
    assert len(seen) == 11
    assert mine.statistics().lost == 10
    assert mine.statistics().blocked == ("Gate",)
    gate.opened.set()
    while mine.statistics().blocked:  # bounded by the test's timeout
        assert mine.flush(BOUND)
    mine.post(line("again"), (gate,))
    assert mine.flush(BOUND)
    texts = [event.text for event in gate.seen if isinstance(event, LineWritten)]
    assert texts == ["first", "again"]


def test_an_observer_is_never_in_two_calls_and_every_delivery_is_accounted_for() -> None:
    inside, overlaps, never = threading.Lock(), [], threading.Event()
    mine = Dispatcher(
        patience=0.0005
    )  # about what the observer takes: given up and returned, often

    def dawdle(_: Event) -> None:
        if not inside.acquire(blocking=False):
            overlaps.append(1)
            return
        never.wait(0.0005)
        inside.release()

    def post_many() -> None:
        for _ in range(300):
            mine.post(line(), (dawdle,))
            mine.flush(0.001)

    posters = [threading.Thread(target=post_many) for _ in range(4)]
    for poster in posters:
        poster.start()
    for poster in posters:
        poster.join(BOUND)
    while mine.statistics().blocked or mine.statistics().queued:
        assert mine.flush(BOUND)
    seen = mine.statistics()
    assert overlaps == []
    assert seen.delivered + seen.lost == 1_200
    assert seen.failed == 0


def test_a_thread_that_comes_back_ends_and_only_one_serves(gates: list[Gate]) -> None:
    gate = gates[0]
    servers: set[int] = set()
    mine = Dispatcher(patience=SOON)
    mine.post(line(), (gate,))
    assert gate.entered.wait(BOUND)
    assert mine.flush(BOUND)
    gate.opened.set()
    while mine.statistics().blocked:
        assert mine.flush(BOUND)
    for _ in range(200):
        mine.post(line(), (lambda _: servers.add(threading.get_ident()),))
    assert mine.flush(BOUND)
    assert len(servers) == 1


def test_no_more_than_three_threads_are_given_up_and_then_events_are_only_dropped(
    gates: list[Gate],
) -> None:
    mine = Dispatcher(capacity=20, patience=SOON)
    for gate in gates[:4]:
        mine.post(line(), (gate,))
        mine.flush(0.0)
        while not gate.entered.is_set():
            mine.flush(2 * SOON)
    seen: list[Event] = []
    assert not mine.flush(4 * SOON)
    assert len(mine.statistics().blocked) == 3
    for _ in range(100):
        mine.post(line(), (seen.append,))
    assert mine.statistics().dropped >= 80
    assert seen == []
    gates[3].opened.set()
    assert mine.flush(BOUND)
    assert seen


def test_a_full_queue_drops_and_counts_and_keeps_room_for_rare_events(gates: list[Gate]) -> None:
    gate = gates[0]
    seen: list[Event] = []
    mine = Dispatcher(capacity=100)
    mine.post(line(), (gate,))
    assert gate.entered.wait(BOUND)
    for _ in range(150):
        mine.post(line(), (seen.append,))
    mine.post(PipeLeaked(source="engine", stream="stderr"), (seen.append,))
    assert mine.statistics().dropped == 50
    gate.opened.set()
    assert mine.flush(BOUND)
    assert len(seen) == 101
    assert isinstance(seen[-1], PipeLeaked)


def test_flush_gives_up_in_time(gates: list[Gate]) -> None:
    mine = Dispatcher()
    mine.post(line(), (gates[0],))
    assert gates[0].entered.wait(BOUND)
    assert not mine.flush(0.01)


def test_an_observer_cannot_wait_for_itself() -> None:
    caught: list[BaseException] = []
    mine = Dispatcher()

    def wait_for_itself(_: Event) -> None:
        with pytest.raises(MisuseError) as error:
            mine.flush(BOUND)
        caught.append(error.value)

    mine.post(line(), (wait_for_itself,))
    assert mine.flush(BOUND)
    assert len(caught) == 1


def test_an_observer_may_post() -> None:
    seen: list[Event] = []
    mine = Dispatcher()
    mine.post(line(), (lambda event: mine.post(event, (seen.append,)),))
    assert mine.flush(BOUND)
    assert mine.flush(BOUND)
    assert len(seen) == 1


def test_a_finalizer_may_post_from_wherever_the_garbage_collector_runs_it() -> None:
    seen: list[Event] = []
    mine = Dispatcher(capacity=1_000_000)

    class Dropped:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            mine.post(line("finalized"), (seen.append,))

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(300):
            Dropped()
            mine.post(line(), (seen.append,))
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert mine.flush(BOUND)
    assert len(seen) == 600


def test_a_system_without_threads_costs_events_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Event] = []
    mine = Dispatcher()

    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("_thread.start_new_thread", refuse)
        mine.post(line(), (seen.append,))
    assert mine.statistics().failed_starts == 1
    mine.post(line(), (seen.append,))
    assert mine.flush(BOUND)
    assert len(seen) == 2


def exit_code_of_fork(check: object) -> int:
    pid = os.fork()
    if pid == 0:
        signal.alarm(int(BOUND))  # a child that hangs ends by SIGALRM
        try:
            assert callable(check)
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings(
    "ignore:This process:DeprecationWarning"
)  # fork with threads: the point
def test_a_fork_starts_empty_and_works(gates: list[Gate]) -> None:
    gate = gates[0]
    mine = Dispatcher()
    mine.post(line(), (gate,))
    assert gate.entered.wait(BOUND)
    mine.post(line(), (gate,))

    def works_in_the_child() -> bool:
        seen: list[Event] = []
        empty = mine.statistics().queued == 0 and mine.flush(0.0)
        mine.post(line(), (seen.append,))
        return empty and mine.flush(BOUND / 2) and len(seen) == 1

    assert exit_code_of_fork(works_in_the_child) == 0
    assert mine.statistics().queued == 1
    gate.opened.set()
    assert mine.flush(BOUND)
    assert len(gate.seen) == 2


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_made_by_an_observer_does_not_serve_in_the_child() -> None:
    codes: list[int] = []
    mine = Dispatcher()

    def fork(_: Event) -> None:
        pid = os.fork()
        if pid == 0:
            signal.alarm(int(BOUND))
            return  # as an observer does that forgets os._exit: our loop must not live on here
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    mine.post(line(), (fork,))
    assert mine.flush(2 * BOUND)
    assert codes == [0]


def test_there_is_one_dispatcher_a_process() -> None:
    assert dispatcher() is dispatcher()
