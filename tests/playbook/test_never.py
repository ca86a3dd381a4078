"""The five rules of what NEVER to do with a child process, each kept by ``safe_llm.spawn``."""

from __future__ import annotations

import pytest

import safe_llm
from safe_llm import NO_LIMITS
from tests.children import python_child
from tests.controls.standstill import started
from tests.controls.verdict import Reason, run_control

BOUND = 10.0  # seconds for what takes milliseconds, on a machine that does much else


def test_never_wait_for_the_exit_before_reading() -> None:
    # As it stands in many programs; here reading began with the child.
    with safe_llm.spawn(python_child("flood_stderr", 1_000_000)) as child:
        assert child.wait(BOUND).code == 0
        assert child.drained.wait(BOUND)
        assert child.stderr.received_bytes == 1_000_000
        assert list(child.stdout.lines(timeout=BOUND)) == ["answer"]
    unread = run_control("U", python_child("flood_both"), "send_much")
    assert unread.reason is Reason.BLOCKED_IN_WRITE, unread


def test_never_take_a_timeout_for_a_stopped_process() -> None:
    with safe_llm.spawn(python_child("echo")) as child:
        with pytest.raises(safe_llm.CallTimeout):
            child.wait(timeout=0.05)
        with pytest.raises(TimeoutError):  # whoever catches the usual class catches ours
            next(child.stdout.lines(timeout=0.05))
        assert started(child.pid) is not None  # the call is over, the process is not
        child.stdin.write(b"still here\n")
        assert next(child.stdout.lines(timeout=BOUND)) == "still here"
    assert started(child.pid) is None  # this is what stops it


def test_never_take_no_more_output_for_a_dead_child() -> None:
    with safe_llm.spawn(python_child("close_outputs")) as child:
        assert list(child.stdout.lines(timeout=BOUND)) == ["closing"]
        assert child.drained.wait(BOUND)
        assert child.exit_status is None
        assert started(child.pid) is not None
        child.stdin.close()
        assert child.wait(BOUND).code == 3
    with safe_llm.spawn(python_child("grandchild_holds_pipe")) as child:  # nor the other way
        assert child.wait(BOUND).code == 0
    popular = run_control("N", python_child("grandchild_holds_pipe"), "wait_for_exit")
    assert popular.reason is Reason.WAIT_DOES_NOT_RETURN, popular


def test_never_put_http_style_timeouts_on_a_pipe() -> None:
    # A read that is given up by a timeout must lose nothing, not even half a line, and a pause
    # in the output is no failure: there is no timeout but the one that the caller names.
    program = (
        "import os, sys; os.write(1, b'half a '); sys.stdin.readline(); os.write(1, b'line\\n')"
    )
    argv = [python_child("echo")[0], "-S", "-c", program]
    with safe_llm.spawn(argv, limits=NO_LIMITS) as child:
        lines = child.stdout.lines(timeout=0.05)
        assert child.stdout.changed.wait_until(lambda: child.stdout.received_bytes > 0, BOUND)
        for _ in range(3):
            with pytest.raises(safe_llm.CallTimeout):
                next(lines)
        child.stdin.write(b"go on\n")
        assert child.drained.wait(BOUND)
        assert next(lines) == "half a line"
        assert child.wait(BOUND).code == 0
        assert child.stop_reason == ""


def test_never_skip_the_200_kb_stderr_stress_test() -> None:
    # The public limit for this is ten seconds.
    with safe_llm.spawn(python_child("flood_on_request", 200_000)) as child:
        for number in range(5):
            child.stdin.write(b"%d\n" % number)
            assert next(child.stdout.lines(timeout=10.0)) == f"answer to {number}"
        assert child.stderr.changed.wait_until(
            lambda: child.stderr.received_bytes == 1_000_000, BOUND
        )
    unread = run_control("U", python_child("flood_on_request", 200_000), "ask")
    assert (unread.reason, unread.descriptor) == (Reason.BLOCKED_IN_WRITE, 2), unread
