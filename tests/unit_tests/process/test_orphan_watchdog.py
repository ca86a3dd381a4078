from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from safe_llm.process import orphans
from safe_llm.worker import sweep
from tests.unit_tests.worker.litter import (
    BOUND,
    HIDE,
    Litter,
    hiding,
    nobody_holds,
    read_lines,
    stays,
)

if TYPE_CHECKING:
    import subprocess

ROOT = Path(__file__).parents[3]

DAEMON = ("fork", "setsid", "orphan")
WIPED_IN_SESSION = ("fork", "orphan", "wipe")
WIPED_BELOW_THE_LIVING = ("fork", "setsid", "fork", "setsid", "wipe")
PLAIN = ("fork", "fork")
TEN_TREES = (DAEMON, WIPED_IN_SESSION, WIPED_BELOW_THE_LIVING, PLAIN, ()) * 2

# Stands in for the hub: a watchdog, its trees, then one word a line about what to do.
PARENT = """
import json, os, subprocess, sys
from safe_llm.process import orphans

cookie, hide, trees = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
watchdog = subprocess.Popen(
    orphans.watchdog_argv(os.getpid(), cookie), stdin=subprocess.PIPE,
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
)
print(watchdog.pid, flush=True)
for value, steps in enumerate(trees):
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", hide, *steps],
        env={cookie: str(value)}, start_new_session=True, stdin=subprocess.DEVNULL,
    )
    start = orphans.start_ticks(child.pid)
    watchdog.stdin.write(orphans.record_line(child.pid, child.pid, start, str(value)))
    watchdog.stdin.flush()
for word in sys.stdin:
    if word == "bye\\n":
        watchdog.stdin.write(orphans.BYE)
    watchdog.stdin.close()
    print("done", flush=True)
"""


class Family:
    """A parent with its watchdog and the trees below it."""

    def __init__(self, litter: Litter, *trees: tuple[str, ...]) -> None:
        argv = [sys.executable, "-c", PARENT, litter.cookie, HIDE, json.dumps(trees)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.parent = litter.start(argv, environ)
        pids = [int(line) for line in read_lines(self.parent, 1)]
        if len(pids) < 1 + sum(map(stays, trees)):
            pids += litter.pids_from(self.parent, 1 + sum(map(stays, trees)) - len(pids))
        for pid in pids:
            litter.watch(pid)
        self.watchdog = pids[0]
        self.trees = set(pids[1:])

    def say(self, word: str) -> None:
        assert self.parent.stdin is not None
        self.parent.stdin.write(word.encode() + b"\n")
        self.parent.stdin.flush()
        assert read_lines(self.parent, 1) == [b"done"]

    def kill_parent(self) -> None:
        self.parent.kill()
        self.parent.wait(BOUND)


def watchdog_of(litter: Litter, pid: int, start: int | None = None) -> subprocess.Popen[bytes]:
    argv = orphans.watchdog_argv(pid, litter.cookie)
    if start is not None:
        argv[argv.index("--parent-start") + 1] = str(start)
    return litter.start(argv)


def tell(watchdog: subprocess.Popen[bytes], line: bytes) -> None:
    assert watchdog.stdin is not None
    watchdog.stdin.write(line)
    watchdog.stdin.flush()


def test_no_child_and_no_grandchild_outlives_a_parent_that_was_killed() -> None:
    with Litter() as litter:
        family = Family(litter, *TEN_TREES)
        begun = monotonic()
        family.kill_parent()
        assert nobody_holds(family.parent)
        took = monotonic() - begun
        assert litter.wait_dead(family.trees) == set()
        assert litter.wait_dead({family.watchdog}) == set()
        print(f"{len(family.trees)} processes of {len(TEN_TREES)} trees dead after {took:.3f} s")


def test_an_orderly_end_leaves_everything_alone() -> None:
    with Litter() as litter:
        family = Family(litter, DAEMON, PLAIN)
        family.say("bye")
        assert litter.wait_dead({family.watchdog}) == set()
        assert all(litter.is_alive(pid) for pid in family.trees)


def test_a_closed_pipe_is_no_death_and_the_parents_death_is_noticed_all_the_same() -> None:
    with Litter() as litter:
        family = Family(litter, DAEMON, PLAIN)
        family.say("close")
        assert all(litter.is_alive(pid) for pid in family.trees | {family.watchdog})
        family.kill_parent()
        assert litter.wait_dead(family.trees | {family.watchdog}) == set()


def test_a_pipe_that_somebody_else_holds_open_does_not_hide_the_death() -> None:
    with Litter() as litter:
        parent = litter.start(["cat"])
        watchdog = watchdog_of(litter, parent.pid)  # the death pipe is ours, and stays open
        child = litter.start(hiding(), {litter.cookie: "a"})
        parent.kill()
        parent.wait(BOUND)
        assert child.wait(BOUND) == -signal.SIGKILL
        assert watchdog.wait(BOUND) == 0


def test_records_that_were_still_in_the_pipe_count_when_the_parent_dies() -> None:
    with Litter() as litter:
        parent = litter.start(["cat"])
        watchdog = watchdog_of(litter, parent.pid)
        os.kill(watchdog.pid, signal.SIGSTOP)
        child, pids = litter.child("a", "wipe", "fork")
        start = orphans.start_ticks(child.pid)
        assert start is not None
        tell(watchdog, b"garbage\n" * 1000)
        tell(watchdog, orphans.record_line(child.pid, child.pid, start, "a"))
        parent.kill()
        parent.wait(BOUND)
        os.kill(watchdog.pid, signal.SIGCONT)
        assert litter.wait_dead(pids) == set()
        assert watchdog.wait(BOUND) == 0


def test_a_parent_whose_number_belongs_to_somebody_else_by_now_is_dead() -> None:
    with Litter() as litter:
        stranger = litter.start(["cat"])
        start = orphans.start_ticks(stranger.pid)
        assert start is not None
        child = litter.start(hiding(), {litter.cookie: "a"})
        watchdog = watchdog_of(litter, stranger.pid, start - 1)
        assert child.wait(BOUND) == -signal.SIGKILL
        assert watchdog.wait(BOUND) == 0
        assert litter.is_alive(stranger.pid)


def test_who_carries_the_cookie_but_is_older_than_the_parent_is_a_stranger() -> None:
    with Litter() as litter:
        elder = litter.start(hiding(), {litter.cookie: "a"})
        parent = litter.start(["cat"])
        born = orphans.start_ticks(parent.pid)
        assert born is not None
        watchdog = watchdog_of(litter, parent.pid, born + 1)
        assert watchdog.wait(BOUND) == 0
        assert litter.is_alive(elder.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_a_session_do_not_end_the_watchdog(number: signal.Signals) -> None:
    with Litter() as litter:
        watchdog = watchdog_of(litter, os.getpid())
        _wait_until_ignored(watchdog.pid, number)
        watchdog.send_signal(number)
        assert os.getsid(watchdog.pid) == watchdog.pid
        tell(watchdog, orphans.BYE)
        assert watchdog.wait(BOUND) == 0


def _wait_until_ignored(pid: int, number: int) -> None:
    end = monotonic() + BOUND
    while True:
        status = sweep._read(f"/proc/{pid}/status", 4096).decode()
        ignored = int(status.partition("\nSigIgn:")[2].split()[0], 16)
        if ignored >> (number - 1) & 1:
            return
        assert monotonic() < end, "it does not ignore the signal"
        Event().wait(0.005)


def test_it_needs_nothing_but_the_standard_library_and_its_own_folder(tmp_path: Path) -> None:
    folder = tmp_path / "worker"
    shutil.copytree(ROOT / "safe_llm" / "worker", folder)
    with Litter() as litter:
        interpreter, *flags, program, _, pid, _, start, _, name = orphans.watchdog_argv(
            os.getpid(), litter.cookie
        )
        options = ["--parent", pid, "--parent-start", start, "--cookie", name]
        alone = litter.start([interpreter, *flags, str(folder / Path(program).name), *options])
        tell(alone, orphans.BYE)
        assert alone.wait(BOUND) == 0


@pytest.mark.parametrize("options", [(), ("--parent", "x"), ("--parent", "1", "--cookie", "N")])
def test_a_wrong_command_line_ends_it_at_once(options: tuple[str, ...]) -> None:
    with Litter() as litter:
        argv = orphans.watchdog_argv(os.getpid(), litter.cookie)
        wrong = litter.start([*argv[:4], *options])
        assert wrong.wait(BOUND) == 2
