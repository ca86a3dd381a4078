"""The supervisor's states, one sentence each, around real children."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from safe_llm.errors import (
    CallTimeout,
    EngineDied,
    MisuseError,
    NotReady,
    RestartLimitReached,
    SpawnFailed,
    StartupFailed,
)
from safe_llm.events import Event, LayerTripped, LineWritten, ProcessReady, RestartScheduled
from safe_llm.limits import NO_LIMITS
from safe_llm.observers.dispatcher import dispatcher
from safe_llm.supervise.portal import portal
from safe_llm.supervise.program import Busy
from safe_llm.supervise.restart import RestartPolicy
from tests.unit_tests.supervise.scripted import (
    BOUND,
    CRASHES,
    IDLES,
    SPINS,
    Scripted,
    on_the_portal,
    supervised,
    until,
)

if TYPE_CHECKING:
    from safe_llm.limits import Limits
    from safe_llm.supervise.supervisor import Supervisor


async def _call(supervisor: Supervisor, limits: Limits = NO_LIMITS) -> int:
    """A call that is done at once; return the pid that served it."""
    async with supervisor.call(limits):
        assert supervisor.child is not None
        return supervisor.child.pid


async def _endless(supervisor: Supervisor, limits: Limits = NO_LIMITS) -> None:
    async with supervisor.call(limits):
        await anyio.sleep_forever()


async def _die_in_a_call(supervisor: Supervisor) -> None:
    async with supervisor.call(NO_LIMITS):
        _kill(supervisor)
        await anyio.sleep_forever()


def _kill(supervisor: Supervisor) -> None:
    assert supervisor.child is not None
    os.killpg(supervisor.child.pid, signal.SIGKILL)


def test_the_first_call_starts_it_and_the_next_one_finds_it_running() -> None:
    async def story() -> None:
        async with supervised(Scripted()) as supervisor:
            assert await _call(supervisor) == await _call(supervisor)
            assert supervisor.state == "ready"

    on_the_portal(story)


def test_calls_that_come_while_it_starts_share_one_start() -> None:
    async def story() -> None:
        program = Scripted()
        async with supervised(program) as supervisor, anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(_call, supervisor)
        assert program.prepared == 1

    on_the_portal(story)


def test_a_call_that_comes_while_it_is_being_stopped_gets_a_process_of_its_own() -> None:
    async def story() -> None:
        program = Scripted()
        async with supervised(program) as supervisor:
            first = await _call(supervisor)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(supervisor.stop)
                await until(lambda: supervisor.state == "stopping")
                second = await _call(supervisor)
            assert second != first
            assert supervisor.state == "ready"
            assert supervisor.restarts == 0

    on_the_portal(story)


def test_whoever_stops_it_second_waits_as_long_as_the_first() -> None:
    async def story() -> None:
        async with supervised(Scripted()) as supervisor:
            await _call(supervisor)
            child = supervisor.child
            assert child is not None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(supervisor.stop)
                await until(lambda: supervisor.state == "stopping")
                await supervisor.stop()
                assert child.closed.is_set

    on_the_portal(story)


def test_stopping_waits_neither_for_a_preparation_nor_for_a_pause() -> None:
    async def story() -> None:
        program = Scripted(gate=anyio.Event())
        async with supervised(program) as supervisor, anyio.create_task_group() as tasks:
            tasks.start_soon(_expect, supervisor, EngineDied)
            await until(lambda: program.prepared == 1)
            with anyio.fail_after(BOUND / 2):
                await supervisor.stop()
            assert supervisor.child is None
            assert supervisor.state == "idle"

    on_the_portal(story)


async def _expect(supervisor: Supervisor, kind: type[BaseException]) -> None:
    with pytest.raises(kind):
        await _call(supervisor)


def test_stopping_cuts_the_pause_before_a_restart_short() -> None:
    async def story() -> None:
        policy = RestartPolicy(backoff=BOUND, longest_backoff=BOUND)
        async with supervised(Scripted(), restart=policy) as supervisor:
            await _call(supervisor)
            _kill(supervisor)
            await until(lambda: supervisor.restarts == 1)
            with anyio.fail_after(BOUND / 2):
                await supervisor.stop()

    on_the_portal(story)


def test_a_call_in_flight_learns_of_the_death_and_the_next_one_is_served() -> None:
    async def story() -> None:
        async with supervised(Scripted()) as supervisor:
            first = await _call(supervisor)
            with pytest.raises(EngineDied, match="ended by SIGKILL"):
                await _die_in_a_call(supervisor)
            assert await _call(supervisor) != first
            assert supervisor.restarts == 1

    on_the_portal(story)


def test_it_comes_back_after_a_crash_though_nobody_calls() -> None:
    async def story() -> None:
        async with supervised(Scripted()) as supervisor:
            await _call(supervisor)
            _kill(supervisor)
            await until(lambda: supervisor.restarts == 1 and supervisor.state == "ready")

    on_the_portal(story)


def test_one_that_ends_before_it_is_ready_is_not_tried_again_for_the_same_call() -> None:
    async def story() -> None:
        program = Scripted(commands=[CRASHES], ready=False)
        async with supervised(program) as supervisor:
            with pytest.raises(NotReady) as caught:
                await _call(supervisor)
            assert program.prepared == 1
            assert caught.value.exit_status == "exited with status 3"
            assert caught.value.last_words == "these are my last words"
            await until(lambda: supervisor.state == "failed")

    on_the_portal(story)


def test_too_many_crashes_at_the_start_are_the_end_of_it_for_a_while() -> None:
    async def story() -> None:
        program = Scripted(commands=[CRASHES], ready=False)
        policy = RestartPolicy(max_restarts=2, window=3600.0, backoff=0.0)
        async with supervised(program, restart=policy) as supervisor:
            for _ in range(3):
                await _expect(supervisor, NotReady)
            await _expect(supervisor, RestartLimitReached)
            with pytest.raises(RestartLimitReached) as caught:
                await _call(supervisor)
            assert program.prepared == 3
            assert caught.value.restarts == 2
            assert caught.value.last_words == "these are my last words"

    on_the_portal(story)


def test_a_restart_that_crashes_is_tried_again_while_a_call_waits_for_it() -> None:
    async def story() -> None:
        program = Scripted(commands=[IDLES, CRASHES, IDLES])
        async with supervised(program) as supervisor:
            await _call(supervisor)
            program.ready = False
            _kill(supervisor)
            await until(lambda: program.prepared == 3)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_call, supervisor)
                await anyio.lowlevel.checkpoint()
                program.ready = True
            assert supervisor.restarts == 2

    on_the_portal(story)


def test_a_call_that_waits_for_a_hopeless_restart_is_told_that_it_is_hopeless() -> None:
    async def story() -> None:
        program = Scripted(commands=[IDLES, CRASHES])
        policy = RestartPolicy(max_restarts=2, window=3600.0, backoff=0.05)
        async with supervised(program, restart=policy) as supervisor:
            await _call(supervisor)
            program.ready = False
            _kill(supervisor)
            await until(lambda: supervisor.state == "restarting")
            with pytest.raises(RestartLimitReached) as caught:
                await _call(supervisor)
            assert "exited with status 3" in caught.value.exit_status

    on_the_portal(story)


def test_crashes_of_long_ago_delay_no_start() -> None:
    async def story() -> None:
        program = Scripted()
        policy = RestartPolicy(window=0.0, backoff=BOUND, longest_backoff=BOUND)
        async with supervised(program, restart=policy) as supervisor:
            await _call(supervisor)
            _kill(supervisor)
            await until(lambda: supervisor.state == "restarting")
            await supervisor.stop()
            with anyio.fail_after(BOUND / 2):
                await _call(supervisor)

    on_the_portal(story)


def test_what_cannot_be_prepared_fails_the_call_and_the_next_one_tries_again() -> None:
    async def story() -> None:
        program = Scripted(refusal=MisuseError(reason="no such parameter"))
        async with supervised(program) as supervisor:
            await _expect(supervisor, MisuseError)
            program.refusal = None
            await _call(supervisor)

    on_the_portal(story)


def test_what_cannot_be_spawned_fails_the_call() -> None:
    async def story() -> None:
        async with supervised(Scripted(commands=[["/no/such/program"]])) as supervisor:
            await _expect(supervisor, SpawnFailed)

    on_the_portal(story)


def test_a_mistake_in_a_program_stops_its_process_and_fails_the_call() -> None:
    def loading() -> float:
        raise ValueError("the file is gone")

    async def story() -> None:
        program = Scripted(ready=False, loading=loading)
        async with supervised(program) as supervisor:
            with pytest.raises(StartupFailed, match="the file is gone"):
                await _call(supervisor)
            child = supervisor.child
            assert child is not None
            await child.closed.wait_async(BOUND)
            assert child.exit_status is not None

    on_the_portal(story)
    portal().errors.clear()


def test_one_that_never_answers_is_stopped_after_its_start_limit() -> None:
    async def story() -> None:
        program = Scripted(ready=False)
        async with supervised(program, limits=NO_LIMITS.with_changes(start=0.2)) as supervisor:
            with pytest.raises(NotReady, match="it runs and does not answer") as caught:
                await _call(supervisor)
            assert caught.value.waited > 0.2
            assert supervisor.child is not None
            await supervisor.child.closed.wait_async(BOUND)

    on_the_portal(story)


def test_an_idle_one_is_stopped_before_anybody_could_call_it_again() -> None:
    async def story() -> None:
        async with supervised(Scripted(), idle_timeout=0.0) as supervisor:
            first = await _call(supervisor)
            await supervisor.leave_when_idle()
            assert supervisor.state == "stopping"
            assert await _call(supervisor) != first

    on_the_portal(story)


def test_an_idle_one_is_stopped_and_a_busy_one_is_not() -> None:
    async def story() -> None:
        async with supervised(Scripted(), idle_timeout=0.1) as supervisor:
            async with supervisor.call(NO_LIMITS):
                began = portal().clock.now()
                await until(lambda: portal().clock.now() - began > 0.3)
                assert supervisor.state == "ready"
            await until(lambda: supervisor.state == "idle")
            assert supervisor.restarts == 0

    on_the_portal(story)


@pytest.mark.parametrize("answer", [None, Busy(1), Busy(1, uninterruptible=1)])
def test_work_that_is_not_given_back_costs_the_process_its_life(answer: Busy | None) -> None:
    async def story() -> None:
        program = Scripted(works_on=answer)
        events: list[Event] = []
        limits = NO_LIMITS.with_changes(release=0.2)
        async with supervised(program, limits=limits, observers=(events.append,)) as supervisor:
            first = await _call(supervisor)
            with anyio.move_on_after(0.05):
                await _endless(supervisor, limits)
            await until(lambda: supervisor.restarts == 1)
            program.works_on = Busy(0)
            assert await _call(supervisor) != first
        assert dispatcher().flush(BOUND)
        tripped = [one for one in events if isinstance(one, LayerTripped)]
        assert [one.layer for one in tripped] == ["L1 release"]

    on_the_portal(story)


@pytest.mark.parametrize("answer", [None, Busy(1, uninterruptible=1)])
def test_a_process_that_works_and_cannot_be_interrupted_is_waited_for(answer: Busy | None) -> None:
    async def story() -> None:
        program = Scripted(commands=[SPINS], works_on=answer)
        limits = NO_LIMITS.with_changes(release=0.3)
        async with supervised(program, limits=limits) as supervisor:
            await _call(supervisor)
            with anyio.move_on_after(0.05):
                await _endless(supervisor, limits)
            began = portal().clock.now()
            await until(lambda: portal().clock.now() - began > 0.9)
            assert (supervisor.state, supervisor.restarts) == ("ready", 0)
            program.works_on = Busy(0)

    on_the_portal(story)


def test_a_process_that_cannot_be_interrupted_is_waited_for_until_l4() -> None:
    async def story() -> None:
        program = Scripted(commands=[SPINS], works_on=Busy(1, uninterruptible=1))
        limits = NO_LIMITS.with_changes(release=0.2, job=0.5)
        async with supervised(program, limits=limits) as supervisor:
            await _call(supervisor)
            with anyio.move_on_after(0.05):
                await _endless(supervisor, limits)
            await until(lambda: supervisor.restarts == 1)

    on_the_portal(story)


def test_one_look_serves_all_calls_that_were_left() -> None:
    async def story() -> None:
        program = Scripted(works_on=Busy(50))
        limits = NO_LIMITS.with_changes(release=BOUND)
        async with supervised(program, limits=limits) as supervisor:
            with anyio.move_on_after(0.05):
                async with anyio.create_task_group() as tasks:
                    for _ in range(50):
                        tasks.start_soon(_endless, supervisor, limits)
            before = program.asked_busy
            began = portal().clock.now()
            await until(lambda: portal().clock.now() - began > 0.3)
            program.works_on = Busy(0)
            assert program.asked_busy - before < 20

    on_the_portal(story)


def test_an_escalation_ends_the_calls_and_the_next_call_waits_for_the_next_process() -> None:
    async def story() -> None:
        limits = NO_LIMITS.with_changes(progress=0.2)
        async with supervised(Scripted(), limits=limits) as supervisor:
            first = await _call(supervisor)
            with pytest.raises(CallTimeout) as caught:
                await _endless(supervisor, limits)
            assert caught.value.layer == "L3 progress"
            assert await _call(supervisor) != first

    on_the_portal(story)


def test_the_patience_of_a_call_holds_the_watchdog_back() -> None:
    async def story() -> None:
        limits = NO_LIMITS.with_changes(progress=0.1)
        async with supervised(Scripted(), limits=limits) as supervisor:
            patient = limits.with_changes(total=BOUND)
            async with supervisor.call(patient):
                began = portal().clock.now()
                await until(lambda: portal().clock.now() - began > 0.6)
            assert supervisor.restarts == 0

    on_the_portal(story)


def test_an_idle_process_that_answers_no_probe_is_replaced() -> None:
    async def story() -> None:
        program = Scripted()
        limits = NO_LIMITS.with_changes(alive_interval=0.1, alive_timeout=0.1, alive_misses=2)
        async with supervised(program, limits=limits) as supervisor:
            await _call(supervisor)
            program.alive = False
            await until(lambda: supervisor.restarts == 1)

    on_the_portal(story)


def test_a_call_longer_than_l4_ends_the_process_and_l1_alone_does_not() -> None:
    async def story() -> None:
        async with supervised(Scripted()) as supervisor:
            first = await _call(supervisor)
            with pytest.raises(CallTimeout, match="L1 total"):
                await _endless(supervisor, NO_LIMITS.with_changes(total=0.1))
            assert await _call(supervisor) == first
            with pytest.raises(CallTimeout, match="L4 job"):
                await _endless(supervisor, NO_LIMITS.with_changes(job=0.1))
            assert await _call(supervisor) != first

    on_the_portal(story)


def test_every_line_reaches_the_observers_though_the_process_ended_right_behind_it() -> None:
    lines = 2000
    script = f"i=0; while [ $i -lt {lines} ]; do echo $i; i=$((i+1)); done; printf unfinished"

    async def story() -> list[Event]:
        events: list[Event] = []
        program = Scripted(commands=[["sh", "-c", script]], ready=False)
        async with supervised(program, observers=(events.append,)) as supervisor:
            await _expect(supervisor, NotReady)
            await until(lambda: supervisor.state == "failed")
        return events

    events = on_the_portal(story)
    assert dispatcher().flush(BOUND)
    said = [one.text for one in events if isinstance(one, LineWritten)]
    assert said == [*map(str, range(lines)), "unfinished"]


def test_a_flood_of_empty_lines_keeps_nobody_from_stopping_it() -> None:
    flood = "head -c 8000000 /dev/zero | tr '\\0' '\\n'; cat"

    async def story() -> None:
        program = Scripted(commands=[["sh", "-c", flood]])
        async with supervised(program, observers=(lambda _: None,)) as supervisor:
            await _call(supervisor)
            child = supervisor.child
            assert child is not None
            await until(lambda: child.stdout.received_bytes == 8_000_000)
            await supervisor.stop()

    on_the_portal(story)


def test_what_happens_is_told() -> None:
    async def story() -> list[Event]:
        events: list[Event] = []
        async with supervised(Scripted(), observers=(events.append,)) as supervisor:
            await _call(supervisor)
            _kill(supervisor)
            await until(lambda: supervisor.restarts == 1 and supervisor.state == "ready")
        return events

    events = on_the_portal(story)
    assert dispatcher().flush(BOUND)
    assert sum(isinstance(one, ProcessReady) for one in events) == 2
    (scheduled,) = (one for one in events if isinstance(one, RestartScheduled))
    assert scheduled.attempt == 1


def test_nobody_waits_on_the_portal_for_the_portal() -> None:
    async def story() -> None:
        with pytest.raises(MisuseError, match="would wait for itself"):
            portal().submit(partial(anyio.sleep, 0), "never").result()

    on_the_portal(story)
