"""What becomes of an engine when its parent is interrupted, stopped, forked, or ends."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.faults.host import Host, births, wait_dead
from tests.faults.oracle import bearers_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine_kinds import Kind
    from tests.faults.conftest import Figure


@pytest.mark.row(16)
def test_a_parent_whose_own_log_is_blocked_is_answered_all_the_same(
    kind: Kind, model: Path, figure: Figure
) -> None:
    with Host("engine_user", "logs_into_a_full_pipe", kind.name, model) as host:
        with figure("a start and 20 calls, logged into a full pipe"):
            assert host.next() == ["length"] * 20
        assert host.next() == "closed"


@pytest.mark.row(23)
def test_a_parent_that_was_stopped_blames_nobody_and_gets_its_answer(
    kind: Kind, model: Path, figure: Figure
) -> None:
    with Host("engine_user", "paused", kind.name, model) as host:
        assert host.next() == "in a call"
        host.signal(signal.SIGSTOP)
        threading.Event().wait(3.5)  # longer than every limit that it has
        host.signal(signal.SIGCONT)
        with figure("the answer after SIGCONT"):
            assert host.next() == "length"
        assert host.next() is True
        assert host.wait() == 0


@pytest.mark.row(30)
def test_an_engine_does_not_survive_its_parent(kind: Kind, model: Path, figure: Figure) -> None:
    with Host("engine_user", "waits", kind.name, model) as host:
        born = births([host.next()])
        assert host.next() == "in a call"
        host.signal(signal.SIGKILL)
        with figure("kill -9 of the parent, with a call in flight"):
            assert wait_dead(born) == []
            assert wait_dead(births(bearers_of(host.cookie_name))) == []


@pytest.mark.row(35)
@pytest.mark.parametrize("way", ["interrupted", "interrupted_loop"])
def test_ctrl_c_ends_the_call_and_not_the_engine(
    way: str, kind: Kind, model: Path, figure: Figure
) -> None:
    with Host("engine_user", way, kind.name, model) as host:
        pid = host.next()
        assert host.next() == "in a call"
        with figure("Ctrl-C ends the call, and the engine is idle"):
            host.signal_group(signal.SIGINT)
            assert host.next() == "interrupted"
            assert host.next() == [True, pid]
        assert host.next() == "length"
        assert host.wait() == 0
        assert wait_dead(births([pid])) == []


@pytest.mark.row(36)
@pytest.mark.parametrize(("way", "status"), [("leaves", 0), ("leaves_by_exception", 1)])
def test_an_interpreter_that_exits_without_closing_leaves_no_engine(
    way: str, status: int, kind: Kind, model: Path, figure: Figure
) -> None:
    with Host("engine_user", way, kind.name, model) as host:
        born = births([host.next()])
        with figure("exit without close"):
            assert host.wait() == status
        assert wait_dead(born, 1.0) == []
        assert bearers_of(host.cookie_name) == []


@pytest.mark.row(36)
def test_what_is_used_after_a_shutdown_starts_again(kind: Kind, model: Path) -> None:
    with Host("engine_user", "shut_down", kind.name, model) as host:
        born = births([host.next()])
        assert host.next() == "idle"
        assert wait_dead(born) == []
        assert host.next() == "length"
        born = births([host.next()])
        assert host.wait() == 0
        assert wait_dead(born, 1.0) == []


@pytest.mark.row(33)
@pytest.mark.row(48)
def test_an_object_in_a_fork_starts_an_engine_of_its_own_and_says_so_once(
    kind: Kind, model: Path, figure: Figure
) -> None:
    with (
        Host("engine_user", "forked", kind.name, model) as host,
        figure("a fork with an engine of its own"),
    ):
        ours = host.next()
        what, theirs, warnings, name_base_url = host.next()
        assert (what, warnings, name_base_url) == ("the fork", 1, True)
        assert theirs != ours
        assert host.next() == ["the fork ended", 0]
        assert host.next() == ["here", ours, "length"]
        assert host.wait() == 0
        assert wait_dead(births([ours, theirs])) == []


@pytest.mark.row(48)
@pytest.mark.timeout(60)  # three interpreters and four engines on a busy machine
def test_a_specification_can_be_sent_to_other_processes(
    kind: Kind, model: Path, figure: Figure
) -> None:
    with (
        Host("engine_user", "pickled", kind.name, model) as host,
        figure("spawn, forkserver and fork"),
    ):
        ours = host.next()
        for method in ("spawn", "forkserver", "fork"):
            what, theirs = host.next(30)
            assert what == "a worker"
            assert theirs != ours
            assert host.next() == [method, 0]
        assert host.next() == ["here", ours, "length"]
        assert host.wait() == 0
