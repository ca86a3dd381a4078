"""Floods: whatever a child writes, on whichever pipe, is drained, bounded and counted."""

from __future__ import annotations

import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest

import safe_llm
from safe_llm import Limits
from safe_llm.process.hub import hub
from safe_llm.process.output import Overflow
from tests.children import c_child, python_child
from tests.controls.verdict import Reason, run_control
from tests.faults.hosts import logged
from tests.faults.oracle import diagnosed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import Figure

pytestmark = pytest.mark.usefixtures("oracle")

MB = 1_000_000


@pytest.mark.row(1)
def test_200_kb_of_stderr_before_the_answer_do_not_delay_it(figure: Figure) -> None:
    with (
        figure("200 KB of stderr, then the answer"),
        safe_llm.spawn(python_child("flood_on_request", 200_000)) as child,
    ):
        child.stdin.write(b"hello\n")
        assert next(child.stdout.lines(timeout=10)) == "answer to hello"
        assert logged(child, 200_000) == 200_000


@pytest.mark.row(1)
def test_200_kb_of_stderr_freeze_a_child_whose_pipe_is_not_read() -> None:
    outcome = run_control("U", python_child("flood_on_request", 200_000), "ask")
    assert (outcome.reason, outcome.descriptor) == (Reason.BLOCKED_IN_WRITE, 2), outcome


@pytest.mark.row(1)
@pytest.mark.row(4)
@pytest.mark.row(14)
@pytest.mark.parametrize("descriptor", [1, 2])
def test_the_diagnosis_names_the_blocked_process_and_its_descriptor(
    descriptor: int, compiled: Path
) -> None:
    argv = c_child("writer_64k", 200_000, descriptor, cache=compiled)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as unread:
        said = diagnosed(unread.pid, "is blocked in a write")
        assert said.startswith(f"pid {unread.pid}, ")
        assert f"descriptor {descriptor}," in said
        unread.kill()


@pytest.mark.row(2)
@pytest.mark.timeout(120)  # a gigabyte, on a machine that does much else
def test_a_gigabyte_of_stderr_is_drained_in_flat_memory(figure: Figure, compiled: Path) -> None:
    memory = psutil.Process().memory_info
    with (
        figure("1 GB of stderr"),
        safe_llm.spawn(c_child("writer_64k", 1000 * MB, 2, cache=compiled)) as child,
    ):
        before = memory().rss
        assert child.wait(100).code == 0
        statistics = child.stderr.statistics()
        assert statistics.received_bytes == 1000 * MB
        assert statistics.waiting_bytes <= 4 * 1024 * 1024
        assert memory().rss - before < 64 * MB


@pytest.mark.row(3)
def test_a_flood_beyond_l5_costs_the_child_its_life(figure: Figure, compiled: Path) -> None:
    with figure("killed by L5"):
        argv = c_child("writer_64k", 0, 2, cache=compiled)
        with safe_llm.spawn(argv, limits=Limits()) as child:
            assert child.wait(10).signal is not None
            assert child.stop_reason.startswith("L5 flood: ")
            assert "allowed are 10485760" in child.stop_reason


@pytest.mark.row(4)
def test_10_mb_go_in_while_both_pipes_are_flooded(figure: Figure) -> None:
    with figure("10 MB in, 20 MB out"), safe_llm.spawn(python_child("flood_both")) as child:
        out, err = child.communicate(b"y" * 10 * MB, timeout=15)
        assert (len(out), len(err)) == (10 * MB + len("read 10000000 bytes\n"), 10 * MB)


@pytest.mark.row(4)
def test_10_mb_written_before_reading_freeze_both_sides() -> None:
    outcome = run_control("U", python_child("flood_both"), "send_much")
    assert outcome.reason is Reason.BLOCKED_IN_WRITE, outcome


@pytest.mark.row(8)
@pytest.mark.timeout(60)  # three million system calls and as many wake-ups
def test_three_million_one_byte_writes_are_drained(figure: Figure, compiled: Path) -> None:
    with figure("3 million writes of 1 byte"):
        argv = c_child("one_byte_writes", 3 * MB, 1, cache=compiled)
        with safe_llm.spawn(argv) as child:
            out, _ = child.communicate(timeout=50)
            assert len(out) == 3 * MB


@pytest.mark.row(13)
def test_a_slow_consumer_loses_the_oldest_and_is_told_how_much(figure: Figure) -> None:
    with (
        figure("a million lines that nobody takes in time"),
        safe_llm.spawn(python_child("numbered_lines", MB)) as child,
    ):
        assert child.wait(10).code == 0  # blocked by nobody
        assert child.drained.wait(10)
        statistics = child.stdout.statistics()
        assert statistics.dropped_bytes > 0
        assert statistics.dropped_bytes + statistics.waiting_bytes == statistics.received_bytes
        lines = child.stdout.take_nowait().splitlines()
        first = int(lines[1])  # the very first may be cut in two
        assert [int(one) for one in lines[1:]] == list(range(first, MB))


@pytest.mark.row(14)
def test_100_mb_of_stdout_that_nobody_consumes_do_not_block_the_child(
    figure: Figure, compiled: Path
) -> None:
    with (
        figure("100 MB of stdout without a consumer"),
        safe_llm.spawn(c_child("writer_64k", 100 * MB, 1, cache=compiled)) as child,
    ):
        assert child.wait(15).code == 0
        with pytest.raises(safe_llm.ProtocolViolation, match="carried 100000000 bytes"):
            child.communicate(timeout=10)


@pytest.mark.row(14)
def test_a_protocol_that_overflows_is_failed_and_its_child_drained_on(compiled: Path) -> None:
    with safe_llm.spawn(["sh", "-c", 'read go; exec "$0" "$@"', *_writer(compiled)]) as child:
        child.stdout.overflow = Overflow.FAIL
        child.stdin.write(b"go\n")
        assert child.wait(15).code == 0
        assert child.stdout.overflowed
        assert child.stdout.take_nowait() == b""


def _writer(compiled: Path) -> list[str]:
    return c_child("writer_64k", 100 * MB, 1, cache=compiled)


@pytest.mark.row(14)
def test_an_unread_stdout_freezes_the_child(compiled: Path) -> None:
    outcome = run_control("U", c_child("writer_64k", 100 * MB, 1, cache=compiled), "receive")
    assert (outcome.reason, outcome.descriptor) == (Reason.BLOCKED_IN_WRITE, 1), outcome


@pytest.mark.row(11)
def test_16_busy_threads_delay_the_drain_but_do_not_stop_it(figure: Figure) -> None:
    over = threading.Event()

    def be_busy() -> None:
        while not over.is_set():
            sum(range(1000))

    threads = [threading.Thread(target=be_busy, name=f"busy-{number}") for number in range(16)]
    for thread in threads:
        thread.start()
    try:
        with (
            figure("200 KB beside 16 busy threads"),
            safe_llm.spawn(python_child("flood_on_request", 200_000)) as child,
        ):
            child.stdin.write(b"hello\n")
            assert next(child.stdout.lines(timeout=18)) == "answer to hello"
            over.set()
    finally:
        over.set()
        for thread in threads:
            thread.join(10)


@pytest.mark.row(43)
@pytest.mark.timeout(120)  # ten times the ten seconds of an idle machine, and a little
def test_a_thousand_children_with_200_kb_each_need_no_thread_each(
    figure: Figure, compiled: Path
) -> None:
    argv = c_child("writer_64k", 200_000, 2, cache=compiled)
    most = 0

    def run_one(_: int) -> int:
        nonlocal most
        child = safe_llm.spawn(argv, unbuffered=None)
        child.wait(100)
        child.drained.wait(100)
        most = max(most, threading.active_count())
        return child.stderr.received_bytes

    before = threading.active_count()
    with figure("1,000 children of 200 KB each"):
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(run_one, range(1000))) == {200_000}
        for child in hub().children:
            assert child.closed.wait(60)
    assert most <= before + 8 + 4  # those of the pool, and four of ours
