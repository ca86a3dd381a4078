"""The five rules of what to do ALWAYS with a child process, each kept by ``safe_llm.spawn``."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import safe_llm
from safe_llm import StopPolicy, StopStep
from tests.children import c_child, python_child
from tests.controls.standstill import started
from tests.controls.verdict import Reason, run_control

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MiB = 1024 * 1024
BOUND = 10.0  # seconds for what takes milliseconds, on a machine that does much else


def test_always_read_stderr_in_the_background() -> None:
    # Nobody here reads stderr, and the answer comes all the same.
    with safe_llm.spawn(python_child("flood_on_request", 300_000)) as child:
        child.stdin.write(b"hello\n")
        assert next(child.stdout.lines(timeout=BOUND)) == "answer to hello"
    unread = run_control("U", python_child("flood_on_request", 300_000), "ask")
    assert (unread.reason, unread.descriptor) == (Reason.BLOCKED_IN_WRITE, 2), unread


def test_always_read_stdout_in_the_background(tmp_path: Path) -> None:
    # Nobody here reads stdout: vLLM, for one, logs there.
    argv = c_child("writer_64k", 20 * MiB, 1, cache=tmp_path)
    with safe_llm.spawn(argv) as child:
        assert child.wait(BOUND).code == 0
    unread = run_control("U", argv, "receive")
    assert (unread.reason, unread.descriptor) == (Reason.BLOCKED_IN_WRITE, 1), unread


def test_always_cap_what_is_read(tmp_path: Path) -> None:
    argv = c_child("writer_64k", 20 * MiB, 2, cache=tmp_path)
    with safe_llm.spawn(argv) as child:
        assert child.wait(BOUND).code == 0
        assert child.drained.wait(BOUND)
        statistics = child.stderr.statistics()
        assert statistics.received_bytes == 20 * MiB
        assert statistics.waiting_bytes <= 4 * MiB
        assert statistics.dropped_bytes == 20 * MiB - statistics.waiting_bytes  # and say so
    with safe_llm.spawn(python_child("long_line", 20 * MiB)) as child:
        child.stdin.write(b"one line without an end, please\n")
        lines = child.stdout.lines(timeout=BOUND)
        assert len(next(lines)) <= 4 * MiB


def test_always_make_the_child_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # or we would prove nothing
    program = "import sys; print('ready'); sys.stdin.readline()"
    with safe_llm.spawn([sys.executable, "-S", "-c", program]) as child:
        assert next(child.stdout.lines(timeout=BOUND)) == "ready"
        assert child.exit_status is None


def test_always_stop_gracefully_then_by_force_and_wait_until_it_is_dead() -> None:
    default = [(step.action, step.grace) for step in StopPolicy().steps]
    assert default[-2:] == [(signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)]
    polite = StopPolicy(steps=(StopStep(signal.SIGTERM, 10.0), StopStep(signal.SIGKILL, 5.0)))
    with safe_llm.spawn(python_child("log_in_sigterm", 300_000), stop=polite) as child:
        assert next(child.stdout.lines(timeout=BOUND)) == "ready"
        assert child.stop().code == 0  # its handler came to its end, reading went on
        assert child.stderr.received_bytes == 300_000
    quick = StopPolicy(steps=(StopStep(signal.SIGTERM, 0.2), StopStep(signal.SIGKILL, 5.0)))
    with safe_llm.spawn(python_child("ignore_sigterm"), stop=quick) as child:
        assert next(child.stdout.lines(timeout=BOUND)) == "ready"
        assert child.stop().signal == signal.SIGKILL
        assert started(child.pid) is None
    unread = run_control("U", python_child("log_in_sigterm", 300_000), "stop")
    assert unread.reason is Reason.BLOCKED_IN_WRITE, unread
