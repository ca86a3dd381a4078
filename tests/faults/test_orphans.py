"""Orphans: whatever becomes of us, or of the thread that began, nothing of ours stays behind."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from safe_llm.process.orphans import protection
from tests.faults.host import Host, births, wait_dead
from tests.faults.oracle import bearers_of

if TYPE_CHECKING:
    from tests.faults.conftest import Figure


pytestmark = pytest.mark.usefixtures("oracle")


@pytest.mark.row(30)
@pytest.mark.timeout(60)  # 210 interpreters have to start first
def test_none_of_70_process_trees_outlives_a_parent_that_was_killed(figure: Figure) -> None:
    with Host("trees", 70) as host:
        told = host.next(bound=50)
        born = births([pid for tree in told["trees"] for pid in tree])
        assert len(born) == 210
        host.signal(signal.SIGKILL)
        with figure("70 trees of 3 processes dead after kill -9 of the parent"):
            assert wait_dead(born) == []
        assert bearers_of(host.cookie_name) == []


@pytest.mark.row(31)
def test_no_direct_child_outlives_us_even_when_the_watchdog_was_killed_first(
    figure: Figure,
) -> None:
    if not protection().pdeathsig:
        pytest.skip("no setpriv with --pdeathsig on this machine")
    with Host("trees", 5) as host:
        told = host.next()
        born = births([tree[0] for tree in told["trees"]])
        watchdog = births([told["watchdog"]])
        os.kill(told["watchdog"], signal.SIGKILL)
        assert wait_dead(watchdog) == []
        host.signal(signal.SIGKILL)
        with figure("direct children dead without the watchdog"):
            assert wait_dead(born) == []


@pytest.mark.row(32)
def test_children_outlive_the_thread_that_used_us_first() -> None:
    with Host("thread_ends") as host:
        assert host.next() == "still here"
        assert host.wait() == 0


@pytest.mark.row(36)
@pytest.mark.parametrize(("how", "status"), [("exit", 3), ("exception", 1), ("loop", 0)])
def test_an_interpreter_that_ends_without_closing_stops_everything_within_the_policy(
    how: str, status: int, figure: Figure
) -> None:
    with Host("leaves_without_closing", how) as host:
        born = births(host.next())
        with figure(f"exit without close, by {how}; graces of 0.3 and 0.3 s"):
            assert host.wait() == status
        assert wait_dead(born, bound=0.0) == []
        assert bearers_of(host.cookie_name) == []
