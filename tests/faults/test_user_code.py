"""User code: it raises, forks, reaps, cancels, is interrupted, and moves the clock."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

import safe_llm
from safe_llm import NO_LIMITS, StopPolicy
from safe_llm.observers.dispatcher import dispatcher
from safe_llm.process import exits
from safe_llm.process.hub import hub
from safe_llm.worker import sweep
from safe_llm.worker.descent import Victim
from tests.children import python_child
from tests.controls.standstill import started
from tests.controls.verdict import Reason, run_control
from tests.faults.host import Host

if TYPE_CHECKING:
    from safe_llm.events import Event
    from tests.faults.conftest import Figure

pytestmark = pytest.mark.usefixtures("oracle")

MB = 1_000_000
AT_ONCE = StopPolicy(steps=())


@pytest.mark.row(12)
def test_a_sink_that_raises_is_detached_and_told_once_and_the_drain_lives(figure: Figure) -> None:
    calls: list[int] = []

    def sink(chunk: bytes) -> None:
        calls.append(len(chunk))
        raise RuntimeError("this sink cannot bear it")

    with (
        figure("20 MB of log past a sink that raises"),
        safe_llm.spawn(python_child("flood_on_request", 20 * MB)) as child,
    ):
        child.stderr.tap = sink
        child.stdin.write(b"hello\n")
        assert next(child.stdout.lines(timeout=15)) == "answer to hello"
        assert "this sink cannot bear it" in child.stderr.statistics().failure
    assert len(calls) == 1


@pytest.mark.row(12)
def test_an_observer_that_raises_is_told_once_and_the_drain_lives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[Event] = []

    def observer(event: Event) -> None:
        told.append(event)
        raise RuntimeError("this observer cannot bear it")

    for _ in range(2):
        with safe_llm.spawn(python_child("flood_stderr", 200_000), observers=[observer]) as child:
            assert child.wait(10).code == 0
    assert dispatcher().flush(10)
    assert len(told) == 4  # a start and an exit each: it goes on being called
    assert sum("cannot bear it" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.row(12)
def test_an_observer_that_raises_ends_the_popular_drain() -> None:
    outcome = run_control("N", python_child("flood_on_request", 20 * MB), "observer_raises")
    assert (outcome.reason, outcome.descriptor) == (Reason.BLOCKED_IN_WRITE, 2), outcome


@pytest.mark.row(23)
def test_a_stop_of_the_whole_process_is_no_timeout_of_anything(figure: Figure) -> None:
    with Host("stopped") as host:
        assert host.next() == "waiting"
        host.signal(signal.SIGSTOP)
        with safe_llm.spawn(["sleep", "3"]) as clock:  # there is no event to wait for instead
            clock.wait(30)
        host.signal(signal.SIGCONT)
        with figure("the answer after SIGCONT"):
            assert host.next() == "answer"
        assert host.next() == ""  # L4 did not trip


@pytest.mark.row(33)
@pytest.mark.parametrize("how", ["fork", "multiprocessing"])
def test_a_fork_in_user_code_neither_holds_our_pipes_nor_touches_our_children(how: str) -> None:
    with Host("forks", how) as host:
        reports = [host.next() for _ in range(4)]
        assert ["the fork ended", 0] in reports
        assert ["the fork's own child", "hello\n"] in reports
        assert ["drained", "answer to hello", 200_000] in reports
        assert ["exited", "exited with status 0", True, []] in reports


@pytest.mark.row(34)
@pytest.mark.timeout(60)  # forty children one after the other
def test_a_task_may_be_cancelled_at_any_await_and_nothing_is_left() -> None:
    async def talk() -> None:
        async with safe_llm.spawn(python_child("echo"), stop=AT_ONCE) as child:
            child.stdin.write(b"hello\n")
            await child.stdin.drain_async(10)
            assert await anext(child.stdout.lines(timeout=10)) == "hello"
            assert await child.communicate_async(b"", timeout=10) == (b"", b"")
            await child.wait_async(10)

    async def cancel_after(steps: int) -> None:
        task = asyncio.create_task(talk())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        if steps % 2:  # once more, in the middle of the leaving
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task], timeout=10)
        assert task.done()

    for steps in range(20):
        asyncio.run(cancel_after(steps))
    for child in hub().children:
        assert child.closed.wait(10)


@pytest.mark.row(34)
def test_a_loop_may_end_while_children_live() -> None:
    async def begin() -> safe_llm.Child:
        child = safe_llm.spawn(python_child("echo"), stop=AT_ONCE)
        waiting = asyncio.create_task(child.wait_async())
        await asyncio.sleep(0)
        assert not waiting.done()
        return child  # the loop cancels who still waits

    async def go_on(child: safe_llm.Child) -> str:
        child.stdin.write(b"in another loop\n")
        return await anext(child.stdout.lines(timeout=10))

    child = asyncio.run(begin())
    assert asyncio.run(go_on(child)) == "in another loop"
    asyncio.run(child.stop_async())


@pytest.mark.row(35)
@pytest.mark.parametrize("how", ["sync", "async"])
def test_ctrl_c_ends_the_call_and_not_the_child(how: str) -> None:
    with Host("interrupted", how) as host:
        assert host.next() == "waiting"
        host.signal_group(signal.SIGINT)
        assert host.next() == "interrupted"
        assert host.next() == "still here"
        assert host.wait() == 0


@pytest.mark.row(37)
def test_a_wall_clock_that_jumps_by_a_day_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = NO_LIMITS.with_changes(job=30.0)
    with safe_llm.spawn(python_child("echo"), limits=limits) as child:
        lines = child.stdout.lines(timeout=10)
        for jump in (86_400.0, -86_400.0):
            real = time.time
            with monkeypatch.context() as patched:
                patched.setattr(time, "time", lambda real=real, jump=jump: real() + jump)
                child.stdin.write(b"hello\n")
                assert next(lines) == "hello"
        assert child.exit_status is None
        assert child.stop_reason == ""
        assert child.statistics().age < 3600


@pytest.mark.row(38)
def test_a_number_that_was_given_away_is_never_signalled(monkeypatch: pytest.MonkeyPatch) -> None:
    signalled: list[Any] = []
    with safe_llm.spawn(["cat"], stop=AT_ONCE) as child:
        child.stdin.close()
        while exits.is_unreaped(child.pid):  # until the number may belong to a stranger
            pass
        monkeypatch.setattr(os, "killpg", lambda *args: signalled.append(args))
        monkeypatch.setattr(os, "kill", lambda *args: signalled.append(args))
        child.terminate()
        child.kill()
        child.send_signal(signal.SIGUSR1)
        child.wait(10)
    assert signalled == []


@pytest.mark.row(38)
def test_a_stranger_with_the_number_of_a_victim_is_not_killed() -> None:
    with safe_llm.spawn(python_child("silent"), stop=AT_ONCE) as stranger:
        born = started(stranger.pid)
        assert born is not None
        victim = Victim(stranger.pid, stranger.pid, born - 1, "was here before", "1", "session")
        assert sweep.kill(victim) is None
        assert started(stranger.pid) == born


@pytest.mark.row(49)
@pytest.mark.parametrize("how", ["ignored", "waitpid"])
def test_a_status_that_somebody_else_took_is_unknown_and_nothing_hangs(
    how: str, figure: Figure
) -> None:
    with Host("reaps_everybody", how) as host:
        with figure(f"four children, SIGCHLD {how}"):
            reports = dict([host.next() for _ in range(5)])
        unknown = "exit status unknown (reaped elsewhere"
        assert reports["exit"].startswith((unknown, "exited with status 7"))
        assert reports["kill"].startswith((unknown, "ended by SIGKILL"))
        if how == "ignored":
            assert reports["exit"].startswith(unknown)
        assert reports["last words"] == "about to fail\nfatal: assertion failed"
        assert reports["left behind"] is None
        assert reports["communicate"] == 2
        assert host.wait() == 0
