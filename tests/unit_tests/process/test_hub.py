"""One hub a process: many callers at once, failures that leave nothing, forks, and the exit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import safe_llm
from safe_llm.errors import MisuseError, SpawnFailed
from safe_llm.process.hub import Hub, hub
from tests.children import python_child
from tests.controls.standstill import started

BOUND = 10.0
hub_module = sys.modules[Hub.__module__]  # its name in the package is that of the function


def test_there_is_one_hub() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: hub(), range(50))) == {hub()}


def test_fifty_children_from_eight_threads_at_once() -> None:
    def talk(number: int) -> bytes:
        with safe_llm.spawn(python_child("echo")) as child:
            return child.communicate(b"%d\n" % number, timeout=20)[0]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(talk, range(50))) == [b"%d\n" % number for number in range(50)]


def test_children_are_known_until_nothing_of_them_is_left() -> None:
    with safe_llm.spawn(["cat"]) as child:
        assert child in hub().children
    assert child not in hub().children


def test_the_statistics_say_how_it_is_and_what_protects_against_orphans() -> None:
    with safe_llm.spawn(["cat"]):
        statistics = hub().statistics()
    assert statistics.children >= 1
    assert statistics.turns > 0
    assert statistics.heartbeat_age < 60
    assert "watchdog process kills all descendants" in statistics.orphan_protection


def test_a_child_that_cannot_be_taken_on_is_not_left_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pids: list[int] = []
    with safe_llm.spawn(["true"]) as child:
        child.wait(BOUND)
    descriptors = set(Path("/dev/fd").iterdir())

    def broken(_hub: object, _child: object, launched: Any) -> None:
        pids.append(launched.pid)
        raise OSError(28, "no more watches")

    with monkeypatch.context() as patched:
        patched.setattr(hub_module, "Lifecycle", broken)
        patched.setattr(hub_module, "_REAP_AFTER", 0.1)
        with pytest.raises(SpawnFailed, match="no more watches"):
            safe_llm.spawn(["cat"])
    reaped = threading.Event()
    hub().loop.post(lambda: hub().loop.call_later(0.2, reaped.set))
    assert reaped.wait(BOUND)
    assert not Path(f"/proc/{pids[0]}").exists()
    assert set(Path("/dev/fd").iterdir()) == descriptors


def test_shutdown_stops_all_in_parallel_and_also_those_that_are_just_being_spawned() -> None:
    one = Hub()
    busy = threading.Event()
    one.loop.post(lambda: busy.wait(0.2))  # what is asked for meanwhile has to wait
    children = [
        one.request_spawn(
            safe_llm.Command(python_child("sleeper")), stop_policy=safe_llm.StopPolicy(steps=())
        )
        for _ in range(3)
    ]
    one.shutdown()
    assert all(child.closed.is_set for child in children)
    assert all(started(child.pid) is None for child in children)


def test_after_the_end_of_the_interpreter_began_nothing_is_started() -> None:
    one = Hub()
    one.close_at_exit()
    with pytest.raises(MisuseError, match="the interpreter is exiting"):
        one.request_spawn(safe_llm.Command(["true"]))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_in_a_forked_process_inherited_children_are_over_and_new_ones_work() -> None:
    with safe_llm.spawn(["cat"]) as child:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            said = "failed"
            try:
                with child:  # its end of the block must neither stop it nor hang
                    status = child.wait(BOUND).describe()
                    lines = list(child.stdout.lines(timeout=BOUND))
                with safe_llm.spawn(["cat"]) as own:
                    answer = own.communicate(b"mine", timeout=BOUND)
                said = f"{status}; {lines}; {answer}"
            finally:
                os.write(writer, said.encode())
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as report:
            said = report.read().decode()
        os.waitpid(pid, 0)
        owner = os.getpid()
        assert said == (
            f"exit status unknown (a child of process {owner}, which this one was forked from);"
            " []; (b'mine', b'')"
        )
        assert child.exit_status is None
        assert child.communicate(b"still here", timeout=BOUND) == (b"still here", b"")


def test_cookies_of_supervisors_above_us_are_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFE_LLM_COOKIE_outer", "4711")
    with safe_llm.spawn(["env"], inherit_env=()) as child:
        said = child.communicate(timeout=BOUND)[0].decode()
    assert "SAFE_LLM_COOKIE_outer=4711\n" in said
    assert f"{hub().cookie_name}={child.cookie}\n" in said


def test_children_that_nobody_closed_are_stopped_gracefully_at_exit() -> None:
    program = (
        "import safe_llm, sys\n"
        "code = 'import sys; sys.stdin.read(); sys.stderr.write(\"graceful\")'\n"
        "child = safe_llm.spawn([sys.executable, '-S', '-c', code])\n"
        "child.stderr.tap = lambda chunk: sys.stdout.write(chunk.decode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=20, check=False
    )
    assert done.stdout == b"graceful", done.stderr
