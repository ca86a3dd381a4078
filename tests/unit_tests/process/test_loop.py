"""The loop survives its handlers, keeps its order, sleeps when idle, and touches no stranger."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from safe_llm.process.loop import DATA, EXITS, WRITES, Loop
from safe_llm.process.waking import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOUND = 10.0


@pytest.fixture(scope="module")
def loop() -> Loop:
    one = Loop("safe-llm-loop-under-test")
    one.start()  # for the whole module: a loop is never stopped
    return one


def run_on(loop: Loop, action: Callable[[], object]) -> object:
    """Have ``action`` done on the loop and return what it returned."""
    done, outcome = Signal(), []

    def perform() -> None:
        try:
            outcome.append(action())
        finally:
            done.set()

    loop.post(perform)
    assert done.wait(BOUND)
    return outcome[0]


def test_a_loop_that_was_left_behind_in_a_fork_closes_its_descriptors_once() -> None:
    loop = Loop("safe-llm-loop-in-a-fork")
    opened = os.open(os.devnull, os.O_RDONLY)
    before = set(Path("/dev/fd").iterdir())
    ours = {loop._selector.fileno(), loop._wake_reader}
    loop.abandon_in_fork()
    for number in ours:
        os.dup2(opened, number)  # the numbers have new owners now
    del loop
    gc.collect()
    assert set(Path("/dev/fd").iterdir()) == before
    for number in (*ours, opened):
        os.close(number)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def fail(error: BaseException) -> None:
    raise AssertionError(error)


def test_what_is_posted_runs_in_order_on_the_loops_thread(loop: Loop) -> None:
    ran: list[tuple[int, int]] = []
    for number in range(1000):
        loop.post(lambda number=number: ran.append((number, threading.get_ident())))  # type: ignore[misc]  # a default binds the number
    ident = run_on(loop, threading.get_ident)
    assert ran == [(number, ident) for number in range(1000)]


def test_a_command_that_raises_is_told_and_the_loop_goes_on(loop: Loop) -> None:
    def broken() -> None:
        raise RuntimeError("a broken command")

    loop.post(broken)
    assert run_on(loop, lambda: 1) == 1
    assert "RuntimeError: a broken command" in loop.errors


def test_a_handler_that_raises_is_dropped_told_and_replaced_by_its_abandon(
    loop: Loop, pipe: tuple[int, int]
) -> None:
    told: list[BaseException] = []
    abandoned = Signal()

    def ready() -> None:
        raise ValueError("a broken handler")

    def abandon(error: BaseException) -> None:
        told.append(error)
        abandoned.set()

    run_on(loop, lambda: loop.watch(pipe[0], DATA, ready, abandon))
    os.write(pipe[1], b"x")
    assert abandoned.wait(BOUND)
    assert str(told[0]) == "a broken handler"
    assert run_on(loop, lambda: pipe[0] in loop._watches) is False


def test_an_abandon_that_raises_too_does_not_end_the_loop(
    loop: Loop, pipe: tuple[int, int]
) -> None:
    failed = Signal()

    def abandon(error: BaseException) -> None:
        failed.set()
        raise RuntimeError("abandon is broken as well")

    def ready() -> None:
        raise ValueError("x")

    run_on(loop, lambda: loop.watch(pipe[0], DATA, ready, abandon))
    os.write(pipe[1], b"x")
    assert failed.wait(BOUND)
    assert run_on(loop, lambda: 1) == 1


def test_exits_are_served_before_writes_and_these_before_data(loop: Loop) -> None:
    order: list[str] = []
    served = Signal()
    ends = [os.pipe() for _ in range(3)]

    def note(name: str) -> Callable[[], None]:
        def ready() -> None:
            order.append(name)
            loop.unwatch(watches[name])
            if len(order) == 3:
                served.set()

        return ready

    watches = {}

    def watch_all() -> None:
        watches["data"] = loop.watch(ends[0][0], DATA, note("data"), fail)
        watches["write"] = loop.watch(ends[1][1], WRITES, note("write"), fail)
        watches["exit"] = loop.watch(ends[2][0], EXITS, note("exit"), fail)

    for reader in (0, 2):
        os.write(ends[reader][1], b"x")
    run_on(loop, watch_all)
    assert served.wait(BOUND)
    assert order == ["exit", "write", "data"]
    for end in ends:
        os.close(end[0])
        os.close(end[1])


def test_a_watch_that_was_ended_in_this_very_turn_is_not_served(loop: Loop) -> None:
    served: list[str] = []
    first, second = os.pipe(), os.pipe()

    def ready() -> None:
        served.append("exit")
        loop.unwatch(doomed[0])
        loop.unwatch(watch[0])

    doomed, watch = [], []

    def watch_both() -> None:
        doomed.append(loop.watch(first[0], DATA, lambda: served.append("data"), fail))
        watch.append(loop.watch(second[0], EXITS, ready, fail))

    os.write(first[1], b"x")
    os.write(second[1], b"x")
    run_on(loop, watch_both)
    while not served:
        run_on(loop, lambda: None)
    run_on(loop, lambda: None)
    assert served == ["exit"]
    for end in (*first, *second):
        os.close(end)


def test_a_timer_runs_and_a_cancelled_one_does_not(loop: Loop) -> None:
    ran: list[str] = []
    done = Signal()

    def set_timers() -> None:
        loop.call_later(0.01, lambda: ran.append("cancelled")).cancel()
        loop.call_later(0.02, lambda: ran.append("due"))
        loop.call_later(0.02, done.set)

    loop.post(set_timers)
    assert done.wait(BOUND)
    assert ran == ["due"]


def test_a_wake_up_for_which_there_is_no_command_any_more_does_not_make_the_loop_spin(
    loop: Loop,
) -> None:
    run_on(loop, lambda: None)
    os.write(loop._wake_writer, b"\1\0\0\0\0\0\0\0")  # its command was taken by an earlier turn
    ticked = Signal()
    before = loop.turns
    run_on(loop, lambda: loop.call_later(0.3, ticked.set))
    assert ticked.wait(BOUND)
    assert loop.turns - before < 50


def test_posting_to_a_loop_that_was_left_behind_in_a_fork_writes_into_nobodys_file() -> None:
    loop = Loop("safe-llm-loop-in-a-fork")  # never started: no thread is copied by a fork
    number = loop._wake_writer
    reader, writer = os.pipe()
    loop.abandon_in_fork()
    os.dup2(writer, number)  # the number has a new owner now
    try:
        loop.post(lambda: None)
        os.set_blocking(reader, False)
        with pytest.raises(BlockingIOError):
            os.read(reader, 100)
    finally:
        for end in (reader, writer, number):
            os.close(end)
