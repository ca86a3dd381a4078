"""The crew's queue: order, isolation, and whose clock runs while a call waits its turn."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from safe_llm.errors import CallTimeout, EngineDied, StartupFailed
from safe_llm.limits import NO_LIMITS
from safe_llm.supervise.crew import Crew, Member
from safe_llm.supervise.portal import portal
from safe_llm.supervise.restart import RestartPolicy
from safe_llm.supervise.supervisor import Supervisor
from tests.unit_tests.supervise.scripted import (
    AT_ONCE,
    BOUND,
    CRASHES,
    Scripted,
    on_the_portal,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from safe_llm.limits import Limits


@asynccontextmanager
async def crew_of(*programs: Scripted) -> AsyncIterator[Crew[Scripted]]:
    members = [
        Member(
            program,
            Supervisor(
                program,
                portal(),
                limits=NO_LIMITS,
                stop_policy=AT_ONCE,
                restart_policy=RestartPolicy(backoff=0.0),
            ),
        )
        for program in programs
    ]
    crew = Crew("crew", members, portal())
    try:
        with anyio.fail_after(BOUND):
            yield crew
    finally:
        with anyio.fail_after(BOUND):
            await crew.stop("the test is over")
        assert all(one.cleaned == one.prepared for one in programs)


class Callers:
    """Calls that last until they are let go, and the order in which they were served."""

    def __init__(self, crew: Crew[Scripted]) -> None:
        self.crew = crew
        self.served: list[str] = []
        self.gates: dict[str, anyio.Event] = {}
        self.errors: dict[str, Exception] = {}

    async def call(self, name: str, limits: Limits = NO_LIMITS) -> None:
        gate = self.gates[name] = anyio.Event()
        try:
            async with self.crew.call(limits):
                self.served.append(name)
                await gate.wait()
        except (CallTimeout, EngineDied, StartupFailed) as error:
            self.errors[name] = error

    async def have_come(self, count: int) -> None:
        await until(lambda: len(self.served) + self.waiting == count)

    async def reach(self, name: str) -> None:
        await until(lambda: self.served[-1:] == [name])

    @property
    def waiting(self) -> int:
        return len(self.crew._queue)


def test_one_member_serves_one_call_at_a_time_in_the_order_of_arrival() -> None:
    async def story() -> None:
        async with crew_of(Scripted()) as crew, anyio.create_task_group() as tasks:
            callers = Callers(crew)
            for number, name in enumerate("abcde", start=1):
                tasks.start_soon(callers.call, name)
                await callers.have_come(number)
            for name in "abcde":
                await callers.reach(name)
                assert crew.statistics().calls_in_flight == 5 - "abcde".index(name)
                callers.gates[name].set()
        assert callers.served == list("abcde")

    on_the_portal(story)


def test_a_second_member_is_started_only_when_the_first_one_is_busy() -> None:
    async def story() -> None:
        first, second = Scripted(), Scripted()
        async with crew_of(first, second) as crew, anyio.create_task_group() as tasks:
            callers = Callers(crew)
            for _ in range(3):
                async with crew.call(NO_LIMITS):
                    pass
            assert (first.prepared, second.prepared) == (1, 0)
            for name in "ab":
                tasks.start_soon(callers.call, name)
            await until(lambda: len(callers.served) == 2)
            assert (first.prepared, second.prepared) == (1, 1)
            assert len(set(crew.statistics().pids)) == 2
            for gate in callers.gates.values():
                gate.set()

    on_the_portal(story)


def test_a_death_costs_one_call_and_not_those_in_the_queue() -> None:
    async def story() -> None:
        async with crew_of(Scripted()) as crew, anyio.create_task_group() as tasks:
            callers = Callers(crew)
            for name in "abc":
                tasks.start_soon(callers.call, name)
            await until(lambda: callers.waiting == 2 and len(callers.served) == 1)
            os.killpg(crew.statistics().pids[0], signal.SIGKILL)
            await until(lambda: len(callers.served) == 2)
            for gate in callers.gates.values():
                gate.set()
        assert isinstance(callers.errors.pop(callers.served[0]), EngineDied)
        assert callers.errors == {}
        assert len(callers.served) == 3
        assert crew.statistics().restarts == 1

    on_the_portal(story)


def test_the_limits_of_a_call_run_while_it_waits_its_turn() -> None:
    async def story() -> None:
        async with crew_of(Scripted()) as crew, anyio.create_task_group() as tasks:
            callers = Callers(crew)
            tasks.start_soon(callers.call, "first")
            await until(lambda: callers.served == ["first"])
            await callers.call("late", NO_LIMITS.with_changes(total=0.05))
            error = callers.errors["late"]
            assert isinstance(error, CallTimeout)
            assert error.layer == "L1 total"
            assert "waited for its turn" in str(error)
            assert callers.waiting == 0
            callers.gates["first"].set()
        assert crew.statistics().restarts == 0

    on_the_portal(story)


def test_what_was_spent_in_the_queue_is_spent() -> None:
    async def story() -> None:
        async with crew_of(Scripted()) as crew, anyio.create_task_group() as tasks:
            callers = Callers(crew)
            tasks.start_soon(callers.call, "first")
            await until(lambda: callers.served == ["first"])
            tasks.start_soon(callers.call, "second", NO_LIMITS.with_changes(total=1.0))
            await until(lambda: callers.waiting == 1)
            waited_from = portal().clock.now()
            await until(lambda: portal().clock.now() - waited_from > 0.5)
            callers.gates["first"].set()
            await until(lambda: "second" in callers.errors)
        error = callers.errors["second"]
        assert isinstance(error, CallTimeout)
        assert callers.served == ["first", "second"]
        assert error.elapsed < portal().clock.now() - waited_from + 0.1

    on_the_portal(story)


def test_leaving_the_queue_leaves_the_turn_to_the_next() -> None:
    async def story() -> None:
        async with crew_of(Scripted()) as crew, anyio.create_task_group() as tasks:
            callers = Callers(crew)
            tasks.start_soon(callers.call, "first")
            await until(lambda: callers.served == ["first"])
            with anyio.CancelScope() as impatient:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(callers.call, "impatient")
                    await until(lambda: callers.waiting == 1)
                    tasks.start_soon(callers.call, "patient")
                    await until(lambda: callers.waiting == 2)
                    impatient.cancel()
            callers.gates["first"].set()
            await until(lambda: callers.served == ["first", "patient"])
            callers.gates["patient"].set()

    on_the_portal(story)


def test_stopping_ends_those_who_wait_as_well() -> None:
    async def story() -> None:
        async with crew_of(Scripted()) as crew, anyio.create_task_group() as tasks:
            callers = Callers(crew)
            for name in "ab":
                tasks.start_soon(callers.call, name)
            await until(lambda: callers.waiting == 1 and len(callers.served) == 1)
            await crew.stop("enough")
        assert {type(error) for error in callers.errors.values()} == {EngineDied}
        assert len(callers.errors) == 2
        assert crew.statistics().state == "idle"

    on_the_portal(story)


def test_starting_it_starts_all_members_and_tells_the_first_error_plainly() -> None:
    async def story() -> None:
        async with crew_of(Scripted(), Scripted()) as crew:
            await crew.start(NO_LIMITS)
            assert len(crew.statistics().pids) == 2
        broken = Scripted(commands=[CRASHES], ready=False)
        async with crew_of(Scripted(), broken) as crew:
            with pytest.raises(StartupFailed, match="these are my last words"):
                await crew.start(NO_LIMITS)

    on_the_portal(story)
