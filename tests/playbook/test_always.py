"""The playbook, first half: what to do ALWAYS with a child process. Five rules, a test for each.

The rules are those of a talk on running LLM engines and MCP servers as child processes, which ends
with ten of them: five ALWAYS, five NEVER (``test_never``). A reader learns of each rule what breaks
it, what ``safe_llm.spawn`` does about it without being asked, and how that looks in a program. The
children are real programs of ``tests/children``. Where a popular way of owning a child breaks the
rule, it stands beside ours and has to hang for the very reason that the rule gives; U reads stdout
and has a pipe for stderr that it never reads.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Literal

import psutil

import safe_llm
from safe_llm import StopPolicy, StopStep
from tests.children import c_child, python_child
from tests.controls.standstill import started, stat_fields
from tests.controls.verdict import Reason, run_control

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MiB = 1024 * 1024
BOUND = 10.0  # seconds for what takes milliseconds, on a machine that does much else
WAYS_FOR_C: tuple[Literal["stdbuf", "pty"], ...] = ("stdbuf", "pty")


def test_always_read_stderr_in_the_background() -> None:
    # Nobody here reads stderr, on which the child must write four pipes full before it answers.
    argv = python_child("flood_on_request", 300_000)
    with safe_llm.spawn(argv) as child:
        child.stdin.write(b"hello\n")
        assert next(child.stdout.lines(timeout=BOUND)) == "answer to hello"

    unread = run_control("U", argv, "ask")
    assert (unread.reason, unread.descriptor) == (Reason.BLOCKED_IN_WRITE, 2), unread


def test_always_read_stdout_in_the_background(tmp_path: Path) -> None:
    # Nobody here reads stdout: vLLM, for one, logs there.
    argv = c_child("writer_64k", 20 * MiB, 1, cache=tmp_path)
    with safe_llm.spawn(argv) as child:
        assert child.wait(BOUND).code == 0

    unread = run_control("U", argv, "receive")  # one line of it, and no more
    assert (unread.reason, unread.descriptor) == (Reason.BLOCKED_IN_WRITE, 1), unread


def test_always_cap_what_is_read(tmp_path: Path) -> None:
    # What nobody takes is kept up to 4 MiB a stream; the rest is dropped, and counted.
    written = 200 * MiB
    before = psutil.Process().memory_info().rss
    with safe_llm.spawn(c_child("writer_64k", written, 2, cache=tmp_path)) as child:
        assert child.wait(BOUND).code == 0
        assert child.drained.wait(BOUND)
        assert psutil.Process().memory_info().rss - before < 64 * MiB
        stderr = child.stderr.statistics()
        assert stderr.received_bytes == written
        assert stderr.waiting_bytes <= 4 * MiB
        assert stderr.dropped_bytes == written - stderr.waiting_bytes

    # A single line is cut at 4 MiB too: it costs its own end and not the session.
    with safe_llm.spawn(python_child("long_line", 20 * MiB)) as child:
        child.stdin.write(b"a line of 20 MiB, please\n")
        lines = child.stdout.lines(timeout=BOUND)
        kept = len(next(lines))
        assert kept <= 4 * MiB
        assert kept + lines.truncated_bytes + child.stdout.dropped_bytes == 20 * MiB
        child.stdin.write(b"and now a short one\n")
        assert next(lines) == "and now a short one"


def test_always_make_the_child_flush(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Or the proof would rest on the child not inheriting it.
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    program = "import os, sys; print('ready'); os.write(2, b'printed\\n'); sys.stdin.readline()"
    python = [sys.executable, "-S", "-c", program]
    with safe_llm.spawn(python) as child:
        assert next(child.stdout.lines(timeout=BOUND)) == "ready"
        assert child.exit_status is None

    # C knows no such variable: there libc has to be told, or be shown a terminal.
    in_c = c_child("buffered_stdout", 1, cache=tmp_path)
    for way in WAYS_FOR_C:
        with safe_llm.spawn(in_c, unbuffered=way) as child:
            assert next(child.stdout.lines(timeout=BOUND)) == "line 1"
            assert child.exit_status is None

    # Not asked to flush, a child keeps its line for as long as it lives.
    with safe_llm.spawn(python, unbuffered=None) as child:
        assert next(child.stderr.lines(timeout=BOUND)) == "printed"
        assert child.stdout.received_bytes == 0
        child.stdin.close()
        assert next(child.stdout.lines(timeout=BOUND)) == "ready"


def test_always_stop_gracefully_then_by_force_and_wait_until_it_is_dead() -> None:
    # The rule as data: the end of stdin, SIGTERM and 10 s, SIGKILL.
    default = [(step.action, step.grace) for step in StopPolicy().steps]
    assert default == [("close_stdin", 2.0), (signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)]

    # Graceful: it may still say 300 KB in its SIGTERM handler, since reading goes on.
    talkative = python_child("log_in_sigterm", 300_000)
    at_once = StopPolicy(steps=(StopStep(signal.SIGTERM, 10.0), StopStep(signal.SIGKILL, 5.0)))
    with safe_llm.spawn(talkative, stop=at_once) as child:
        assert next(child.stdout.lines(timeout=BOUND)) == "ready"
        assert child.stop().code == 0
        assert child.stderr.received_bytes == 300_000

    # By force, and then dead: not even a zombie is left when stop() returns.
    quick = StopPolicy(steps=(StopStep(signal.SIGTERM, 0.2), StopStep(signal.SIGKILL, 5.0)))
    with safe_llm.spawn(python_child("ignore_sigterm"), stop=quick) as child:
        assert next(child.stdout.lines(timeout=BOUND)) == "ready"
        born = started(child.pid)
        assert child.stop().signal == signal.SIGKILL
        found = stat_fields(child.pid)  # of a stranger at most, to whom the pid was given since
        assert found is None or (int(found[1]), int(found[19])) != (os.getpid(), born)

    unread = run_control("U", talkative, "stop")  # SIGTERM, then wait()
    assert (unread.reason, unread.descriptor) == (Reason.BLOCKED_IN_WRITE, 2), unread
