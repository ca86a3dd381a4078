"""What children left behind is swept off the hub; a sweep that fails is told, and tried again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import safe_llm
from safe_llm.process import orphans
from safe_llm.process.sweeper import Leftovers, Sweeper
from safe_llm.process.waking import Signal
from tests.children import python_child
from tests.controls.standstill import started

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

BOUND = 10.0


def leftovers(name: str, told: list[tuple[str, str]], done: Signal) -> Leftovers:
    def report(victims: Sequence[orphans.Victim], failure: str) -> None:
        told.append((name, failure))
        done.set()

    return Leftovers(name, 0, 0, report)


def test_what_is_asked_for_meanwhile_is_swept_in_the_same_scan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[list[str]] = []
    first_scan, go_on = Signal(), Signal()

    def scan(cookie: str, children: dict[str, object]) -> list[orphans.Victim]:
        batches.append(list(children))
        first_scan.set()
        go_on.wait(BOUND)
        return []

    monkeypatch.setattr(orphans, "sweep", scan)
    sweeper, told, done = Sweeper("NO_COOKIE"), list[tuple[str, str]](), Signal()
    sweeper.request(leftovers("a", told, done))
    assert first_scan.wait(BOUND)
    for name in "bcd":
        sweeper.request(leftovers(name, told, done))
    go_on.set()
    assert done.wait_until(lambda: len(told) == 4, BOUND)
    assert batches == [["a"], ["b", "c", "d"]]


def test_a_sweep_that_fails_is_told_to_all_and_the_next_one_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def scan(cookie: str, children: object) -> list[orphans.Victim]:
        raise RuntimeError("no /proc today")

    sweeper, told, done = Sweeper("NO_COOKIE"), list[tuple[str, str]](), Signal()
    with monkeypatch.context() as patched:
        patched.setattr(orphans, "sweep", scan)
        sweeper.request(leftovers("a", told, done))
        assert done.wait_until(lambda: told != [], BOUND)
    assert "no /proc today" in told[0][1]
    sweeper.request(leftovers("b", told, done))
    assert done.wait_until(lambda: told[1:] == [("b", "")], BOUND)


def test_without_a_thread_to_sweep_with_it_is_tried_again_until_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = threading.Thread.start
    refused: list[str] = []

    def refuse_twice(thread: threading.Thread) -> None:
        if thread.name == "safe-llm-sweeper" and len(refused) < 2:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    with safe_llm.spawn(python_child("daemonise")) as child:
        daemon = int(next(child.stdout.lines(timeout=BOUND)))
        monkeypatch.setattr(child._hub, "sweeper", Sweeper(child._hub.cookie_name))
        monkeypatch.setattr(threading.Thread, "start", refuse_twice)
        child.stop()
    assert len(refused) == 2
    assert started(daemon) is None
