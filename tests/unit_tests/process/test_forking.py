"""A fork in user code and a spawn of ours wait for each other, and neither does so for long."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

import safe_llm
from safe_llm.process.forking import ForkGate

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND = 10.0


@pytest.fixture
def forked() -> Iterator[list[int]]:
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def fork_a_sleeper(pids: list[int]) -> None:
    pid = os.fork()
    if pid == 0:
        threading.Event().wait(60)
        os._exit(0)
    pids.append(pid)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_spawn_does_not_hang_the_hub(
    monkeypatch: pytest.MonkeyPatch, forked: list[int]
) -> None:
    launch_it = subprocess._fork_exec  # type: ignore[attr-defined]  # the moment of the fork
    began, forks = threading.Event(), list[threading.Thread]()

    def fork_meanwhile(*args: Any) -> Any:
        # subprocess holds the write end of the pipe by which it learns of execve's failure.
        forks.append(threading.Thread(target=fork_a_sleeper, args=(forked,), daemon=True))
        forks[0].start()
        began.wait(0.2)
        return launch_it(*args)

    with safe_llm.spawn(["true"]):
        pass  # the watchdog and the probes are there
    monkeypatch.setattr(subprocess, "_fork_exec", fork_meanwhile)
    with safe_llm.spawn(["cat"]) as child:
        monkeypatch.undo()
        forks[0].join(BOUND)
        assert forked
        child.stdin.close()
        assert child.wait(BOUND).code == 0  # the fork holds no copy of its stdin


def test_who_forks_waits_for_a_spawn_but_not_for_ever() -> None:
    gate, order = ForkGate(), list[str]()

    def fork() -> None:
        gate.before_fork()
        order.append("forked")
        gate.after_fork()

    thread = threading.Thread(target=fork, daemon=True)
    with gate.spawning():
        thread.start()
        order.append("spawned")
    thread.join(BOUND)
    assert order == ["spawned", "forked"]
    with gate.spawning():
        fork()  # on the very thread that spawns: a deadlock, were it insisted upon
    assert order[-1] == "forked"
    with gate.spawning():
        pass


def test_a_forked_process_begins_with_an_open_gate() -> None:
    gate = ForkGate()
    gate.before_fork()
    gate.renew()
    assert gate._lock.acquire(blocking=False)
