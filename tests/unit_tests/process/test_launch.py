"""A launch gives a process in a session of its own and our ends of its pipes, or leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import safe_llm
from safe_llm.errors import SpawnFailed
from safe_llm.limits import NO_LIMITS
from safe_llm.process import exits
from safe_llm.process.command import Command
from safe_llm.process.launch import discard, launch
from tests.children import c_child, python_child

if TYPE_CHECKING:
    from safe_llm.process.child import Child

BOUND = 10.0


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


def facts(child: Child) -> dict[str, object]:
    found = json.loads(next(child.stdout.lines(timeout=BOUND)))
    assert isinstance(found, dict)
    return found


def test_a_child_leads_a_session_of_its_own_and_holds_three_descriptors_only() -> None:
    stranger = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(stranger, True)
    with safe_llm.spawn(python_child("prints_environment")) as child:
        found = facts(child)
    os.close(stranger)
    assert found["session"] == found["group"] == found["pid"] == child.pid
    assert found["descriptors"] == [0, 1, 2]


def test_one_more_pipe_carries_what_its_outputs_cannot_disturb() -> None:
    code = (
        "import os; os.system('echo noise'); os.system('echo noise >&2');"
        " os.write(int(os.environ['REPLIES']), b'x' * 300_000)"
    )
    with safe_llm.spawn(Command([sys.executable, "-c", code], replies="REPLIES")) as child:
        assert child.wait(BOUND).code == 0
        assert child.drained.wait(BOUND)
        taken = child.replies.take_nowait(), child.stdout.take_nowait(), child.stderr.take_nowait()
    assert taken == (b"x" * 300_000, b"noise\n", b"noise\n")
    assert child.replies.ended


def test_more_than_a_protocol_may_hold_fails_its_pipe_and_blocks_nobody() -> None:
    code = "import os; [os.write(int(os.environ['REPLIES']), b'x' * 4096) for _ in range(100)]"
    command = Command([sys.executable, "-c", code], replies="REPLIES")
    with safe_llm.spawn(command, limits=NO_LIMITS.with_changes(max_message_bytes=1000)) as child:
        assert child.wait(BOUND).code == 0
    assert child.replies.overflowed
    assert child.replies.take_nowait() == b""


def test_it_starts_in_its_directory_with_its_arguments(tmp_path: Path) -> None:
    argv = [*python_child("prints_environment"), "two words", "", "ünïcödé"]
    with safe_llm.spawn(argv, cwd=tmp_path) as child:
        found = facts(child)
    assert found["cwd"] == str(tmp_path.resolve())
    seen = found["argv"]
    assert isinstance(seen, list)
    assert seen[-3:] == ["two words", "", "ünïcödé"]


def test_null_as_stdin_is_the_end_of_file_at_once() -> None:
    with safe_llm.spawn(python_child("silent"), stdin="null") as child:
        assert child.wait(BOUND).code == 0


@pytest.mark.parametrize("unbuffered", ["auto", "stdbuf", "pty"])
def test_lines_of_a_python_child_are_seen_while_it_runs(
    unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    program = "import sys; print('first'); sys.stdin.readline(); print('second')"
    argv = [sys.executable, "-S", "-c", program]
    with safe_llm.spawn(argv, unbuffered=unbuffered) as child:  # type: ignore[arg-type]  # one of its literals
        lines = child.stdout.lines(timeout=BOUND)
        assert next(lines) == "first"
        child.stdin.write(b"go on\n")
        assert next(lines) == "second"


def test_a_python_child_that_is_not_asked_keeps_its_lines_to_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    program = "import os, sys; print('first'); os.write(2, b'printed\\n'); sys.stdin.readline()"
    argv = [sys.executable, "-S", "-c", program]
    with safe_llm.spawn(argv, unbuffered=None) as child:
        assert next(child.stderr.lines(timeout=BOUND)) == "printed"
        assert child.stdout.take_nowait() == b""
        child.stdin.close()
        assert next(child.stdout.lines(timeout=BOUND)) == "first"


@pytest.mark.parametrize("unbuffered", ["stdbuf", "pty"])
def test_lines_of_a_c_child_are_seen_while_it_runs(unbuffered: str, compiled: Path) -> None:
    argv = c_child("buffered_stdout", 3, cache=compiled)
    with safe_llm.spawn(argv, unbuffered=unbuffered) as child:  # type: ignore[arg-type]  # one of its literals
        lines = child.stdout.lines(timeout=BOUND)
        assert [next(lines) for _ in range(3)] == ["line 1", "line 2", "line 3"]
        assert child.exit_status is None


def test_a_terminal_passes_bytes_unchanged_and_its_end_is_no_failure() -> None:
    program = "import os; os.write(1, b'one\\ntwo\\r\\n\\x04\\x03three'); os.isatty(1) or exit(1)"
    argv = [sys.executable, "-S", "-c", program]
    with safe_llm.spawn(argv, unbuffered="pty") as child:
        assert child.wait(BOUND).code == 0
        assert child.drained.wait(BOUND)
        assert child.stdout.take_nowait() == b"one\ntwo\r\n\x04\x03three"
        assert child.stdout.failure == ""


def test_a_flood_through_a_terminal_is_drained(compiled: Path) -> None:
    argv = c_child("writer_64k", 3_000_000, 1, cache=compiled)
    with safe_llm.spawn(argv, unbuffered="pty") as child:
        assert len(child.communicate(timeout=BOUND)[0]) == 3_000_000


def test_a_launch_can_be_taken_back() -> None:
    before = set(Path("/dev/fd").iterdir())
    command = Command(python_child("sleeper"))
    launched = launch(command, command.argv[0], dict(os.environ), ())
    discard(launched)
    _, status = os.waitpid(launched.pid, 0)
    assert exits.from_wait_status(status).signal == 9
    assert set(Path("/dev/fd").iterdir()) == before


def test_an_argument_list_that_is_too_long_is_an_error_that_helps() -> None:
    before = set(Path("/dev/fd").iterdir())
    command = Command(["/bin/true", "x" * 3_000_000])
    with pytest.raises(SpawnFailed, match=r"E2BIG[^h]*hint: .*pass large input through stdin"):
        launch(command, "/bin/true", {}, ())
    assert set(Path("/dev/fd").iterdir()) == before


def test_a_program_for_another_processor_is_an_error_that_helps(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF\x02\x01\x01" + b"\0" * 100)
    program.chmod(0o755)
    with pytest.raises(SpawnFailed, match="ENOEXEC"):
        launch(Command([str(program)]), str(program), {}, ())


def test_subprocess_does_not_reap_behind_our_back() -> None:
    command = Command(["true"])
    launched = launch(command, "/bin/true", dict(os.environ), ())
    subprocess.Popen(["true"]).wait(BOUND)  # would clean up abandoned Popen objects
    _, status = os.waitpid(launched.pid, 0)
    assert status == 0
    for fd in launched.descriptors:
        os.close(fd)
