"""A child as its owner sees it: waits that end, text and bytes, with and without a loop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING

import anyio
import pytest

import safe_llm
from safe_llm.errors import CallTimeout, ProtocolViolation
from safe_llm.limits import NO_LIMITS
from safe_llm.process.hub import hub
from safe_llm.process.waking import Signal
from tests.children import c_child, python_child

if TYPE_CHECKING:
    from pathlib import Path

BOUND = 10.0

both_loops = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


def test_a_conversation_line_by_line() -> None:
    with safe_llm.spawn(python_child("echo")) as child:
        lines = child.stdout.lines(timeout=BOUND)
        for word in ("one", "two", "three"):
            child.stdin.write(word.encode() + b"\n")
            assert next(lines) == word


@both_loops
def test_the_same_conversation_in_a_task(anyio_backend: str) -> None:
    async def main() -> None:
        with anyio.fail_after(BOUND):
            async with safe_llm.spawn(python_child("echo")) as child:
                lines = child.stdout.lines()
                for word in ("one", "two", "three"):
                    child.stdin.write(word.encode() + b"\n")
                    assert await anext(lines) == word
            assert child.closed.is_set

    anyio.run(main, backend=anyio_backend)


def test_communicate_returns_everything_once_it_has_exited() -> None:
    with safe_llm.spawn(python_child("flood_both")) as child:
        out, err = child.communicate(b"x" * 3_000_000, timeout=BOUND)
    assert (len(out), len(err)) == (3_000_000 + len("read 3000000 bytes\n"), 3_000_000)
    assert child.returncode == child.poll() == 0


@both_loops
def test_communicate_in_a_task(anyio_backend: str) -> None:
    async def main() -> None:
        async with safe_llm.spawn(python_child("flood_both")) as child:
            out, err = await child.communicate_async(b"x" * 300_000, timeout=BOUND)
        assert (len(out), len(err)) == (300_000 + len("read 300000 bytes\n"), 300_000)

    anyio.run(main, backend=anyio_backend)


def test_communicate_with_a_child_that_needs_no_input_is_fine() -> None:
    for _ in range(5):
        with safe_llm.spawn(["true"]) as child:
            child.wait(BOUND)
            assert child.communicate(b"unwanted", timeout=BOUND) == (b"", b"")


def test_communicate_byte_by_byte_is_no_overflow(compiled: Path) -> None:
    limits = NO_LIMITS.with_changes(max_message_bytes=400_000)
    with safe_llm.spawn(c_child("one_byte_writes", 300_000, 1, cache=compiled), limits=limits) as c:
        assert len(c.communicate(timeout=BOUND)[0]) == 300_000


def test_more_than_a_message_may_have_is_an_error_with_its_size(compiled: Path) -> None:
    limits = NO_LIMITS.with_changes(max_message_bytes=1_000_000)
    argv = c_child("writer_64k", 3_000_000, 1, cache=compiled)
    said = "stdout carried 3000000 bytes, allowed are 1000000"
    with safe_llm.spawn(argv, limits=limits) as child:
        child.wait(BOUND)  # before anybody said how much it may have
        with pytest.raises(ProtocolViolation, match=said):
            child.communicate(timeout=BOUND)
    with safe_llm.spawn(argv, limits=limits) as child, pytest.raises(ProtocolViolation, match=said):
        child.communicate(timeout=BOUND)


def test_a_communicate_that_came_too_late_says_so(compiled: Path) -> None:
    argv = c_child("writer_64k", 10_000_000, 1, cache=compiled)
    with safe_llm.spawn(argv) as child:
        child.wait(BOUND)
        with pytest.raises(ProtocolViolation, match="were dropped before communicate"):
            child.communicate(timeout=BOUND)


@pytest.mark.parametrize("timeout", [0.0, 0.01])
def test_a_wait_that_is_over_leaves_the_child_as_it_is(timeout: float) -> None:
    with safe_llm.spawn(["cat"]) as child:
        with pytest.raises(CallTimeout, match="cat: call ended by L1 exit"):
            child.wait(timeout)
        assert child.exit_status is None


def test_a_communicate_that_is_over_leaves_the_child_as_it_is() -> None:
    with safe_llm.spawn(python_child("sleeper")) as child:
        with pytest.raises(TimeoutError):
            child.communicate(timeout=0.01)
        assert child.exit_status is None
        child.kill()


@both_loops
def test_a_wait_in_a_task_that_is_over_leaves_the_child_as_it_is(anyio_backend: str) -> None:
    async def main() -> None:
        async with safe_llm.spawn(["cat"]) as child:
            with pytest.raises(CallTimeout):
                await child.wait_async(0.01)
            with anyio.move_on_after(0.01):
                await child.wait_async()
            assert child.exit_status is None
            child.stdin.close()
            assert (await child.wait_async(BOUND)).code == 0

    anyio.run(main, backend=anyio_backend)


def test_a_communicate_ends_in_time_although_a_grandchild_holds_the_pipes() -> None:
    policy = safe_llm.StopPolicy(pipe_grace=600.0, sweep="none")
    with safe_llm.spawn(python_child("grandchild_holds_pipe"), stop=policy) as child:
        grandchild = int(next(child.stdout.lines(timeout=BOUND)))
        child.wait(BOUND)
        with pytest.raises(CallTimeout, match="L1 communicate"):
            child.communicate(timeout=0.05)
        os.kill(grandchild, signal.SIGKILL)
        assert child.closed.wait(BOUND)


def test_a_child_says_what_it_is_doing() -> None:
    with safe_llm.spawn(["cat"], name="the cat") as child:
        assert repr(child) == f"<Child 'the cat' pid {child.pid}: running for 0 s>"
        statistics = child.statistics()
        assert (statistics.name, statistics.pid, statistics.running) == ("the cat", child.pid, True)
    assert repr(child) == f"<Child 'the cat' pid {child.pid}: exited with status 0>"
    assert not child.statistics().running


def test_last_words_are_whole_lines_and_none_of_them_is_lost() -> None:
    with safe_llm.spawn(python_child("crash_at_start", 7)) as child:
        child.wait(BOUND)
        assert child.last_words() == "loading\nfatal: cannot load the model"
    with safe_llm.spawn(python_child("flood_stderr", 10_000)) as child:
        child.wait(BOUND)
        assert set(child.last_words().splitlines()) == {"x" * 99}


def test_last_words_are_safe_to_show() -> None:
    with safe_llm.spawn(python_child("bad_bytes", 0)) as child:
        child.wait(BOUND)
        words = child.last_words()
    assert "red" in words
    assert not any(ord(one) < 32 for one in words if one != "\n")


def test_an_interrupted_spawn_leaves_no_child_that_nobody_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait = Signal.wait

    def interrupted(one: Signal, timeout: float) -> bool:
        wait(one, timeout)
        raise KeyboardInterrupt

    before = hub().children
    with monkeypatch.context() as patched:
        patched.setattr(Signal, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            safe_llm.spawn(python_child("ignore_sigterm"))
    left = [child for child in hub().children if child not in before]
    assert all(child.closed.wait(BOUND) for child in left)


def test_a_closed_child_is_garbage_once_nobody_holds_it() -> None:
    policy = safe_llm.StopPolicy(pipe_grace=0.01)
    with safe_llm.spawn(["cat"], stop=policy) as child:
        pass
    gone = Signal()
    reference = weakref.ref(child, lambda _: gone.set())
    del child

    def collected() -> bool:
        hub().loop.post(lambda: None)  # the hub's last turn may still name it
        gc.collect()
        return reference() is None

    while not collected():  # bounded by the timeout of the test
        gone.wait(0.05)


def test_a_child_that_is_dropped_and_forgotten_is_drained_and_reaped() -> None:
    pid = safe_llm.spawn(python_child("flood_stderr", 1_000_000)).pid
    gc.collect()
    for child in [one for one in hub().children if one.pid == pid]:
        assert child.closed.wait(BOUND)
        assert child.returncode == 0


@pytest.mark.parametrize("blocking", ["wait(1)", "stop()", "communicate(timeout=1)"])
def test_a_blocking_call_on_the_hub_is_refused_and_not_hung(blocking: str) -> None:
    refused: list[Exception] = []
    done = Signal()

    def call(chunk: bytes) -> None:
        try:
            eval(f"child.{blocking}", {"child": child})
        except safe_llm.MisuseError as error:
            refused.append(error)
        finally:
            done.set()

    with safe_llm.spawn(python_child("echo")) as child:
        child.stdout.tap = call
        child.stdin.write(b"hello\n")
        assert done.wait(BOUND)
    assert "would wait for itself" in str(refused[0])


def test_a_cancelled_task_does_not_stop_the_stopping() -> None:
    async def main() -> safe_llm.Child:
        child = safe_llm.spawn(python_child("sleeper"))
        await anext(child.stdout.lines(timeout=BOUND))
        task = asyncio.create_task(child.stop_async(safe_llm.StopPolicy(steps=())))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return child

    child = asyncio.run(main())
    assert child.closed.wait(BOUND)


def test_on_windows_it_says_that_it_cannot() -> None:
    program = (
        "import sys\n"
        "sys.platform = 'win32'\n"
        "import safe_llm\n"
        "try:\n"
        "    safe_llm.spawn(['true'])\n"
        "except safe_llm.UnsupportedPlatform as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=BOUND, check=False
    )
    assert done.stdout.startswith(b"safe_llm cannot supervise processes on 'win32'"), done.stderr
    assert b"hint: run it inside WSL2" in done.stdout
