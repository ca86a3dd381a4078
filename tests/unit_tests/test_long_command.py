from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.controls.sweep import bearers, new_cookie, sweep
from tests.long_command import Patience, last_step, run_logged

ROOT = Path(__file__).parents[2]
BOUND = 10.0  # seconds


@pytest.mark.parametrize(
    ("output", "step"),
    [
        (b"[1/311] Building a.o\n[12/311] Building b.o\n", "12/311"),
        (b"[ 4%] Building a.o\n[100%] Linking", "100%"),
        (b"-- The CXX compiler is [found]\n[12/3", None),
        (b"", None),
    ],
)
def test_the_last_step_of_a_build_tool_is_found(output: bytes, step: str | None) -> None:
    assert last_step(output) == step


def test_what_a_command_says_is_in_the_log_and_how_far_it_is_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    script = "echo '[1/2] one'; echo '[2/2] two' >&2; exit 7"
    patience = Patience(60, 0, told.append)
    assert run_logged(["sh", "-c", script], os.environ, tmp_path / "log", patience) == 7
    assert (tmp_path / "log").read_text() == "[1/2] one\n[2/2] two\n"
    assert told[-1] == "still at it, step 2/2 (0:00 min)"


def test_nothing_is_told_before_an_interval_has_passed(tmp_path: Path) -> None:
    told: list[str] = []
    patience = Patience(60, 60, told.append)
    assert run_logged(["echo", "[1/2]"], os.environ, tmp_path / "log", patience) == 0
    assert told == []


def test_a_daemon_that_keeps_the_pipe_is_not_waited_for(tmp_path: Path) -> None:
    cookie = new_cookie()
    daemon = ["sh", "-c", "setsid sleep 600 & echo done"]
    try:
        patience = Patience(60, 60, print)
        assert run_logged(daemon, {**os.environ, **cookie}, tmp_path / "log", patience) == 0
        assert len(bearers(cookie)) == 1
    finally:
        sweep(cookie)
    assert (tmp_path / "log").read_text() == "done\n"


def test_a_command_that_ignores_sigterm_is_killed_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.long_command.GRACE", 1.0)
    cookie = new_cookie()
    stubborn = ["sh", "-c", "trap '' TERM; echo '[1/9]'; sleep 600 & sleep 600"]
    try:
        with pytest.raises(TimeoutError, match=r"^it did not end in time, at step "):
            run_logged(stubborn, {**os.environ, **cookie}, tmp_path / "log", Patience(0, 60, print))
        assert bearers(cookie) == []
    finally:
        sweep(cookie)


def test_the_command_ends_when_whoever_runs_it_is_killed(tmp_path: Path) -> None:
    command = "while echo '[1/9]'; do sleep 0.05; done"
    program = (
        "import os, pathlib; from tests.long_command import Patience, run_logged;"
        f"log = pathlib.Path({str(tmp_path / 'log')!r});"
        f"run_logged(['sh', '-c', {command!r}], os.environ, log, Patience(60, 0, print))"
    )
    cookie = new_cookie()
    with subprocess.Popen(
        [sys.executable, "-u", "-c", program],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **cookie, "PYTHONPATH": str(ROOT)},
    ) as runner:
        assert runner.stdout is not None
        try:
            assert any(b"step 1/9" in line for line in runner.stdout)
            runner.kill()
            deadline = time.monotonic() + BOUND
            while bearers(cookie) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert bearers(cookie) == []
        finally:
            sweep(cookie)
