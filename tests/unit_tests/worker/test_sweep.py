from __future__ import annotations

import os
import platform
import signal
import sys
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from safe_llm.worker import sweep
from safe_llm.worker.descent import Match, Victim
from safe_llm.worker.records import Record
from tests.unit_tests.worker.litter import BOUND, Litter, echoes, nobody_holds, read_lines

if TYPE_CHECKING:
    from pathlib import Path

STAT = "{pid} ({pid}) S 1 1 {pid} 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0\n"

# Grows for about half a second, each in its own session; every one of them holds our stdout.
GROWING = """
import os, time
os.write(1, b"growing\\n")
for _ in range(100):
    time.sleep(0.005)
    if os.fork() == 0:
        os.setsid()
time.sleep(60)
"""

# The first thread ends, the process goes on.
HEADLESS = """
import ctypes, os, sys, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
os.write(1, b"%d\\n" % os.getpid())
ctypes.CDLL(None).syscall(int(sys.argv[1]), 0)
"""
EXIT_ONE_THREAD = {"x86_64": 60, "aarch64": 93}


def put(root: Path, pid: int, environ: bytes | None, start: int = 500) -> None:
    (root / str(pid)).mkdir()
    (root / str(pid) / "stat").write_text(STAT.format(pid=pid, start=start))
    if environ is not None:
        (root / str(pid) / "environ").write_bytes(environ)


def victim_of(pid: int, start_ticks: int) -> Victim:
    return Victim(pid, pid, start_ticks, "x", "a", "cookie")


def test_a_cookie_is_found_by_its_whole_name_wherever_it_stands(tmp_path: Path) -> None:
    put(tmp_path, 1, b"OURS=first\0A=1\0")
    put(tmp_path, 2, b"A=1\0OURS=last")
    put(tmp_path, 3, b"A=1\0NOT_OURS=x\0OURS2=x\0B=OURS=x\0ours=x\0")
    put(tmp_path, 4, b"A=1\0OURS=\0")
    put(tmp_path, 5, b"A=1\0OURS=old\0", start=99)
    cookies = {p.pid: p.cookie for p in sweep.scan("OURS", 100, str(tmp_path))}
    assert cookies == {1: "first", 2: "last", 3: None, 4: "", 5: None}


def test_what_vanishes_or_is_closed_to_us_during_a_scan_is_just_not_there(tmp_path: Path) -> None:
    put(tmp_path, 1, environ=None)
    put(tmp_path, 2, b"OURS=x\0")
    (tmp_path / "3").mkdir()
    (tmp_path / "4").write_text("a number, and no process")
    (tmp_path / "self").mkdir()
    cookies = {p.pid: p.cookie for p in sweep.scan("OURS", 0, str(tmp_path))}
    assert cookies == {1: None, 2: "x"}
    assert sweep.scan("OURS", 0, str(tmp_path / "absent")) == []


def test_an_environment_is_read_up_to_a_cap(tmp_path: Path) -> None:
    put(tmp_path, 1, b"A=" + b"x" * 2 * 1024 * 1024 + b"\0OURS=too far\0")
    put(tmp_path, 2, b"A=" + b"x" * 900 * 1024 + b"\0OURS=seen\0")
    cookies = {p.pid: p.cookie for p in sweep.scan("OURS", 0, str(tmp_path))}
    assert cookies == {1: None, 2: "seen"}


def test_a_stranger_with_a_reused_number_is_never_signalled() -> None:
    with Litter() as litter:
        stranger = litter.start(["cat"])
        start = sweep.start_ticks(stranger.pid)
        assert start is not None
        for other in (start - 1, start + 1):
            assert sweep.kill(victim_of(stranger.pid, other)) is None
            records = frozenset({Record(stranger.pid, stranger.pid, other, "a")})
            assert sweep.kill_matching(Match(litter.cookie, None, records)) == []
        assert echoes(stranger)
        assert sweep.kill(victim_of(stranger.pid, start)) == victim_of(stranger.pid, start)
        assert stranger.wait(BOUND) == -signal.SIGKILL


def test_a_snapshot_that_speaks_of_somebody_else_by_now_kills_nobody(tmp_path: Path) -> None:
    with Litter() as litter:
        stranger = litter.start(["cat"])
        put(tmp_path, stranger.pid, b"OURS=a\0", start=1)
        match = Match("OURS", frozenset({"a"}))
        assert sweep.kill_matching(match, proc_root=str(tmp_path)) == []
        assert echoes(stranger)


def test_the_dead_are_not_killed_again() -> None:
    with Litter() as litter:
        child = litter.start(["true"])
        start = sweep.start_ticks(child.pid)
        assert start is not None
        assert litter.wait_dead({child.pid}) == set()
        assert sweep.kill(victim_of(child.pid, start)) is None  # a zombie
        child.wait(BOUND)
        assert sweep.kill(victim_of(child.pid, start)) is None  # gone


def test_a_sweep_never_kills_its_own_process_or_a_protected_one() -> None:
    with Litter() as litter:
        spared = litter.start(["cat"], {**os.environ, litter.cookie: "a"})
        me = os.getpid()
        start = sweep.start_ticks(me)
        assert start is not None
        records = frozenset({Record(os.getsid(0), me, start, "a")})
        match = Match(litter.cookie, None, records, since=start)
        protect = frozenset({spared.pid})
        assert sweep.kill_matching(match, protect=protect) == []
        assert echoes(spared)


def test_a_tree_that_still_grows_is_killed_to_the_last() -> None:
    with Litter() as litter:
        growing = litter.start([sys.executable, "-I", "-S", "-c", GROWING], {litter.cookie: "a"})
        assert read_lines(growing, 1) == [b"growing"]
        victims = sweep.kill_matching(Match(litter.cookie, frozenset({"a"})))
        assert nobody_holds(growing)
        assert {victim.cookie for victim in victims} == {"a"}


@pytest.mark.skipif(platform.machine() not in EXIT_ONE_THREAD, reason="another system call table")
def test_a_process_whose_first_thread_has_ended_is_no_zombie_to_be_spared() -> None:
    with Litter() as litter:
        number = str(EXIT_ONE_THREAD[platform.machine()])
        headless = litter.start([sys.executable, "-I", "-S", "-c", HEADLESS, number])
        assert read_lines(headless, 1)
        _wait_until_it_reads_as_a_zombie(headless.pid)
        start = sweep.start_ticks(headless.pid)
        assert start is not None
        records = frozenset({Record(headless.pid, headless.pid, start, "a")})
        victims = sweep.kill_matching(Match(litter.cookie, records=records))
        assert [victim.pid for victim in victims] == [headless.pid]
        assert headless.wait(BOUND) == -signal.SIGKILL


def _wait_until_it_reads_as_a_zombie(pid: int) -> None:
    end = monotonic() + BOUND
    while b") Z " not in sweep._read(f"/proc/{pid}/stat", 4096):
        assert monotonic() < end, "its first thread does not end"
        Event().wait(0.005)


@pytest.mark.parametrize(
    ("status", "uid", "within_reach"),
    [
        (b"Name:\tx\nUid:\t1000\t1000\t1000\t1000\n", 1000, True),
        (b"Name:\tx\nUid:\t1000\t0\t0\t0\n", 1000, True),  # set-uid: the kernel has the last word
        (b"Name:\tx\nUid:\t1001\t1000\t1000\t1000\n", 1000, False),
        (b"Name:\tx\nUid:\t10001\t1000\t1000\t1000\n", 1000, False),
        (b"Name:\tx\nUid:\t1001\t1001\t1001\t1001\n", 0, True),
        (b"", 1000, False),
    ],
)
def test_a_process_of_another_user_is_out_of_reach(
    status: bytes, uid: int, within_reach: bool
) -> None:
    assert sweep.is_within_reach(status, uid) is within_reach


def test_a_process_of_another_user_is_left_alone_reported_once_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Litter() as litter:
        child = litter.start(["cat"], {**os.environ, litter.cookie: "a"})
        monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
        # Never quiet, it would go on for ever: the bound of the test is the proof.
        victims = sweep.kill_matching(Match(litter.cookie, None), timeout=1e6)
        assert [(v.pid, v.refusal) for v in victims] == [(child.pid, "runs as another user")]
        assert echoes(child)


def test_without_pidfds_the_same_processes_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    with Litter() as litter:
        child = litter.start(["cat"], {**os.environ, litter.cookie: "a"})
        monkeypatch.delattr(os, "pidfd_open")
        assert [v.pid for v in sweep.kill_matching(Match(litter.cookie, None))] == [child.pid]
        assert child.wait(BOUND) == -signal.SIGKILL


def test_without_a_proc_the_group_that_a_child_leads_is_killed_and_no_other() -> None:
    with Litter() as litter:
        child, pids = litter.child("a", "fork", "wipe")
        bystander = litter.start(["cat"])
        sweep.kill_groups(
            [
                Record(child.pid, child.pid, 0, "a"),
                Record(child.pid, bystander.pid, 0, "b"),
                Record(1, 1, 0, "c"),
            ]
        )
        assert litter.wait_dead(pids) == set()
        assert echoes(bystander)
