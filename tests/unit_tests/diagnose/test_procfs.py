"""The reader of /proc on a canned one, so that each kernel's words are there at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from safe_llm.diagnose.procfs import (
    oom_kills,
    resident_bytes,
    session_cpu_seconds,
    snapshot,
)

if TYPE_CHECKING:
    from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
WRITE_TO_2 = "1 0x2 0x7f0000 0x1000 0x0 0x0 0x0 0x7ffd 0x7f01"


def _stat(pid: int, name: str, state: str, sid: int, ticks: tuple[int, int]) -> str:
    after_flags = "0 " * 4
    user, system = ticks
    return (
        f"{pid} ({name}) {state} 1 {sid} {sid} 0 -1 0 {after_flags}{user} {system} 0 0 20 0 1 0 5"
    )


class CannedProc:
    def __init__(self, root: Path) -> None:
        self.root = root

    def process(
        self,
        pid: int,
        *,
        name: str = "server",
        state: str = "S",
        sid: int = 0,
        ticks: tuple[int, int] = (0, 0),
        threads: tuple[tuple[str, str, str], ...] = (("S", "futex_do_wait", "202 0x1"),),
    ) -> None:
        home = self.root / str(pid)
        home.mkdir()
        (home / "stat").write_text(_stat(pid, name, state, sid or pid, ticks))
        (home / "statm").write_text("100 25 10 1 0 10 0\n")
        for number, (thread_state, wchan, syscall) in enumerate(threads):
            task = home / "task" / str(pid + number)
            task.mkdir(parents=True)
            (task / "stat").write_text(_stat(pid + number, name, thread_state, pid, (0, 0)))
            (task / "wchan").write_text(wchan)
            (task / "syscall").write_text(syscall)


@pytest.fixture
def proc(tmp_path: Path) -> CannedProc:
    return CannedProc(tmp_path)


@pytest.mark.parametrize("wchan", ["pipe_wait", "pipe_write", "anon_pipe_write"])
def test_a_blocked_writer_is_found_in_the_words_of_each_kernel(
    wchan: str, proc: CannedProc
) -> None:
    proc.process(42, threads=(("S", "futex_do_wait", "202 0x1"), ("S", wchan, WRITE_TO_2)))
    seen = snapshot(42, proc.root)
    assert seen is not None
    assert seen.describe() == (
        "pid 42, thread 43 is blocked in a write to descriptor 2, a full pipe that nobody reads"
    )


@pytest.mark.parametrize("wchan", ["pipe_read", "anon_pipe_read", "futex_do_wait", "0", ""])
def test_a_thread_that_waits_for_something_else_is_no_blocked_writer(
    wchan: str, proc: CannedProc
) -> None:
    proc.process(42, threads=(("S", wchan, WRITE_TO_2),))
    seen = snapshot(42, proc.root)
    assert seen is not None
    assert seen.describe() == "pid 42 is sleeping"


@pytest.mark.parametrize("syscall", ["running", "", "-1 0x7ffd 0x7f01"])
def test_a_system_call_that_is_not_shown_is_no_error(syscall: str, proc: CannedProc) -> None:
    proc.process(42, threads=(("S", "futex_do_wait", syscall),))
    assert snapshot(42, proc.root) is not None


@pytest.mark.parametrize(
    ("state", "words"),
    [("R", "running"), ("T", "stopped by a signal"), ("Z", "dead and not reaped"), ("?", "gone")],
)
def test_a_state_is_said_in_words(state: str, words: str, proc: CannedProc) -> None:
    proc.process(42, state=state)
    seen = snapshot(42, proc.root)
    assert seen is not None
    assert seen.describe() == f"pid 42 is {words}"


@pytest.mark.parametrize("name", ["a) S 1 (b", "with space", "new\nline", "((((", "))))"])
def test_a_name_may_contain_anything(name: str, proc: CannedProc) -> None:
    proc.process(42, name=name, state="T", ticks=(TICK, TICK))
    seen = snapshot(42, proc.root)
    assert seen is not None
    assert seen.state == "T"
    assert session_cpu_seconds(42, proc.root) == 2.0


def test_processor_time_is_that_of_the_whole_session(proc: CannedProc) -> None:
    proc.process(42, ticks=(TICK, 0))
    proc.process(43, sid=42, ticks=(TICK, 2 * TICK))
    proc.process(50, ticks=(1000 * TICK, 0))
    (proc.root / "self").mkdir()
    (proc.root / "99").mkdir()
    assert session_cpu_seconds(42, proc.root) == 4.0


def test_what_is_gone_or_hidden_is_unknown_and_no_error(proc: CannedProc) -> None:
    assert snapshot(42, proc.root) is None
    assert resident_bytes(42, proc.root) is None
    assert session_cpu_seconds(42, proc.root) == 0.0
    assert session_cpu_seconds(42, proc.root / "no such folder") is None
    (proc.root / "42").mkdir()
    (proc.root / "42" / "stat").write_text(_stat(42, "x", "S", 42, (0, 0)))
    seen = snapshot(42, proc.root)
    assert seen is not None
    assert seen.threads == ()


@pytest.mark.parametrize("cut", range(0, 60, 4))
def test_a_line_that_is_cut_short_is_survived(cut: int, proc: CannedProc) -> None:
    proc.process(42)
    whole = (proc.root / "42" / "stat").read_text()
    (proc.root / "42" / "stat").write_text(whole[:cut])
    snapshot(42, proc.root)
    session_cpu_seconds(42, proc.root)


def test_memory_is_counted_in_bytes(proc: CannedProc) -> None:
    proc.process(42)
    assert resident_bytes(42, proc.root) == 25 * os.sysconf("SC_PAGE_SIZE")


def test_we_are_found_running_in_the_real_proc() -> None:
    seen = snapshot(os.getpid())
    assert seen is not None
    assert os.getpid() in {thread.tid for thread in seen.threads}
    assert (session_cpu_seconds(os.getsid(0)) or 0.0) > 0.0
    assert (resident_bytes(os.getpid()) or 0) > 1_000_000


def test_the_victims_of_the_oom_killer_are_counted_where_the_kernel_counts_them(
    proc: CannedProc,
) -> None:
    vmstat = proc.root / "vmstat"
    assert oom_kills(proc.root) is None
    vmstat.write_text("nr_free_pages 17\n")
    assert oom_kills(proc.root) is None
    vmstat.write_text("nr_free_pages 17\noom_kill_reaped 9\noom_kill 3\n")
    assert oom_kills(proc.root) == 3
