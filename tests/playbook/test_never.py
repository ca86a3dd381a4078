"""The playbook, second half: what NEVER to do with a child process. Five rules, a test for each.

The rules are those of a talk on running LLM engines and MCP servers as child processes, which ends
with ten of them: five ALWAYS (``test_always``), five NEVER. A reader learns of each rule which
mistake it forbids, why that mistake cannot be made with ``safe_llm.spawn``, and what to write
instead. The children are real programs of ``tests/children``. Where a popular way of owning a
child makes the mistake, it stands beside ours and has to hang for the very reason that the rule
gives; U reads stdout only, N reads both pipes to their ends with tasks in the caller's loop.
"""

from __future__ import annotations

import sys

import pytest

import safe_llm
from safe_llm import Limits
from tests.children import python_child
from tests.controls.standstill import started
from tests.controls.verdict import Reason, run_control

BOUND = 10.0  # seconds for what takes milliseconds, on a machine that does much else


def test_never_wait_for_the_exit_before_reading() -> None:
    # Many programs wait() first. Here that order is harmless: reading began with the child.
    program = "import os; os.write(1, b'answer\\n'); os.write(2, b'x' * 1_000_000)"
    argv = [sys.executable, "-S", "-c", program]
    with safe_llm.spawn(argv) as child:
        assert child.wait(BOUND).code == 0
        assert list(child.stdout.lines(timeout=BOUND)) == ["answer"]
        assert child.drained.wait(BOUND)
        assert len(child.stderr.take_nowait()) == 1_000_000

    waits = run_control("U", argv, "receive")  # takes the answer, then wait()
    assert waits.answer == "answer", waits
    assert (waits.reason, waits.descriptor) == (Reason.BLOCKED_IN_WRITE, 2), waits


def test_never_take_a_timeout_for_a_stopped_process() -> None:
    with safe_llm.spawn(python_child("echo")) as child:
        with pytest.raises(safe_llm.CallTimeout):
            child.wait(timeout=0.05)
        with pytest.raises(TimeoutError):  # whoever catches the usual class catches ours
            next(child.stdout.lines(timeout=0.05))
        # The calls are over, the process is not, and it is as usable as before.
        assert started(child.pid) is not None
        child.stdin.write(b"still here\n")
        assert next(child.stdout.lines(timeout=BOUND)) == "still here"
        assert child.stop_reason == ""  # until now nobody has asked for its end

        child.stop()  # as the end of `with` would: this, and nothing else, stops it
        assert started(child.pid) is None


def test_never_take_no_more_output_for_a_dead_child() -> None:
    # Both pipes are at their ends, and the child is alive.
    with safe_llm.spawn(python_child("close_outputs")) as child:
        assert list(child.stdout.lines(timeout=BOUND)) == ["closing"]
        assert child.drained.wait(BOUND)
        assert (child.stdout.ended, child.stderr.ended) == (True, True)
        assert child.exit_status is None
        assert started(child.pid) is not None
        child.stdin.close()
        assert child.wait(BOUND).code == 3

    # Nor the other way round: it is dead, and a grandchild keeps both pipes open.
    argv = python_child("grandchild_holds_pipe")
    with safe_llm.spawn(argv) as child:
        assert child.wait(BOUND).code == 0
    popular = run_control("N", argv, "wait_for_exit")
    assert popular.reason is Reason.WAIT_DOES_NOT_RETURN, popular


def test_never_put_http_style_timeouts_on_a_pipe() -> None:
    # A child that takes its time and never ends a line is healthy. No timeout of a read is at
    # work unless the caller names one, not even with the default limits of all five layers.
    with safe_llm.spawn(python_child("dots", 20, 0.01), limits=Limits()) as child:
        assert child.stderr.changed.wait_until(lambda: child.stderr.received_bytes == 20, BOUND)
        assert child.exit_status is None
        assert child.stop_reason == ""

    # A gap that the caller does name ends the waiting and nothing else: the child goes on, and
    # what arrives late is all there, with the half line that had come before.
    program = (
        "import os, sys; os.write(1, b'half a '); sys.stdin.readline(); os.write(1, b'line\\n')"
    )
    with safe_llm.spawn([sys.executable, "-S", "-c", program]) as child:
        lines = child.stdout.lines(timeout=0.05)
        assert child.stdout.changed.wait_until(lambda: child.stdout.received_bytes > 0, BOUND)
        for _ in range(3):
            with pytest.raises(safe_llm.CallTimeout):
                next(lines)
        child.stdin.write(b"go on\n")
        assert child.wait(BOUND).code == 0
        assert child.drained.wait(BOUND)
        assert next(lines) == "half a line"


@pytest.mark.timeout(10)  # the limit that the rule itself names
def test_never_skip_the_200_kb_stderr_stress_test() -> None:
    argv = python_child("flood_on_request", 200_000)
    with safe_llm.spawn(argv) as child:
        for number in range(5):
            child.stdin.write(b"%d\n" % number)
            assert next(child.stdout.lines(timeout=BOUND)) == f"answer to {number}"
        child.stdin.close()
        assert child.drained.wait(BOUND)
        assert child.stderr.received_bytes == 5 * 200_000

    unread = run_control("U", argv, "ask")
    assert (unread.reason, unread.descriptor) == (Reason.BLOCKED_IN_WRITE, 2), unread
