"""``safe-llm measure`` as its user runs it: in a process of its own, on real engines."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.cli import DONE, FAILED, INTERRUPTED
from tests.llama_engine import BOUND, comes_true
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
RUN = 60  # seconds for a command that takes 4 to 12 on two idle cores
BLOCKED = (
    r"pid \d+, thread \d+ is blocked in a write to descriptor 2, a full pipe that nobody reads"
)


class Command:
    """The command, running, and whatever it has started: all of it bears one mark."""

    def __init__(self, arguments: Sequence[str], tmp: Path) -> None:
        # As if it ran inside of an engine of ours: such a mark is handed on to every child.
        self._mark = f"SAFE_LLM_COOKIE_TEST_{uuid.uuid4().hex}"
        self.tmp = tmp
        self.process = subprocess.Popen(
            [sys.executable, "-m", "safe_llm", "measure", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, self._mark: "1", "TMPDIR": str(tmp)},
            text=True,
        )

    def finish(self, code: int = DONE) -> tuple[str, str]:
        """Its two outputs, once it has ended as expected."""
        out, err = self.process.communicate(timeout=RUN)
        assert self.process.returncode == code, err
        return out, err

    def wait_says(self, pattern: str) -> None:
        """Read what it says until a line matches; the test's timeout bounds it."""
        assert self.process.stderr is not None
        assert any(re.search(pattern, line) for line in self.process.stderr)

    def running(self) -> list[int]:
        """The processes that are there because of it, itself included."""
        mark = f"{self._mark}=1".encode()
        processes = (one for one in Path("/proc").iterdir() if one.name.isdecimal())
        return [int(one.name) for one in processes if bears(one, mark)]


def bears(process: Path, mark: bytes) -> bool:
    try:
        return mark in (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it is gone, or another user's
        return False


@contextmanager
def measure(*arguments: str, tmp_path: Path) -> Iterator[Command]:
    """The command, started; nothing of it lives after the block, whatever happens in it."""
    tmp = tmp_path / "t"
    tmp.mkdir()
    command = Command(arguments, tmp)
    try:
        yield command
    finally:
        command.process.kill()
        command.process.communicate(timeout=BOUND)
        for pid in command.running():
            os.kill(pid, signal.SIGKILL)


def rows_of(out: str) -> dict[tuple[str, str], Any]:
    """The rows of a JSON output by verbosity and model."""
    return {(row["verbosity"], row["model"]): row for row in json.loads(out)["rows"]}


def assert_nothing_is_left(command: Command) -> None:
    assert (command.running(), list(command.tmp.iterdir())) == ([], [])


@pytest.mark.slow
@pytest.mark.timeout(RUN + 20)  # starts a llama-server four times: 8 s on two idle cores
def test_a_llama_server_freezes_where_it_is_predicted_to_and_not_where_it_is_silent(
    tmp_path: Path,
) -> None:
    model = tiny_gguf(tmp_path, layers=16)
    picture = tmp_path / "cliff.png"
    words = ("llama-server", "--verbosity", "debug", "--verbosity", "off", "--requests", "3")
    options = ("--prove", "--json", "--plot", str(picture), "--model", str(model))
    with measure(*words, *options, tmp_path=tmp_path) as command:
        out, err = command.finish()
        assert_nothing_is_left(command)
    debug, off = rows_of(out)["debug", model.stem], rows_of(out)["off", model.stem]

    log, proof = debug["drained"]["streams"]["stderr"], debug["proof"]
    assert log["start_bytes"] > log["capacity_bytes"]
    assert (log["requests_until_full"], proof["frozen"], proof["ready_at"]) == (0, True, None)
    # The pipe took what it was predicted to take, but for how the logger cuts its lines.
    assert proof["unread_bytes"] == pytest.approx(log["capacity_bytes"], rel=0.05)
    assert re.fullmatch(BLOCKED, proof["reason"])

    assert off["drained"]["streams"]["stderr"]["request_bytes"] == 0
    assert (off["proof"]["frozen"], off["proof"]["reason"]) == (False, "")
    assert off["proof"]["answered"] >= 3

    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"frozen while loading, {proof['unread_bytes']:,} bytes unread" in err
    assert "\r" not in err
    assert "\x1b" not in out + err


@pytest.mark.slow
@pytest.mark.timeout(RUN + 20)  # loads two models twice each: 10 s on two idle cores
def test_llama_cpp_python_freezes_at_the_very_request_that_was_predicted(tmp_path: Path) -> None:
    small, large = tiny_gguf(tmp_path, layers=1), tiny_gguf(tmp_path, layers=16)
    models = ("--model", str(small), "--model", str(large))
    words = ("llama-cpp-python", "--verbosity", "on", "--requests", "10", "--prove", "--json")
    with measure(*words, *models, tmp_path=tmp_path) as command:
        out, _ = command.finish()
        assert_nothing_is_left(command)
    rows = rows_of(out)

    answering = rows["on", small.stem]
    log, proof = answering["drained"]["streams"]["stderr"], answering["proof"]
    assert (proof["frozen"], proof["answered"]) == (True, log["requests_until_full"])
    assert proof["answered"] > 10
    assert proof["unread_bytes"] == pytest.approx(log["capacity_bytes"], rel=0.05)

    loading = rows["on", large.stem]
    start = loading["drained"]["streams"]["stderr"]["start_bytes"]
    assert (loading["proof"]["frozen"], loading["proof"]["ready_at"]) == (True, None)
    assert start > 4 * log["start_bytes"]  # so much a layer
    for row in (answering, loading):
        assert re.fullmatch(BLOCKED, row["proof"]["reason"])
        assert row["quoted"]["requests_until_full"] == "18-36"


@pytest.mark.timeout(RUN + 20)  # imports the SDK three times: 4 s on two idle cores
def test_an_mcp_server_is_measured_on_its_stderr_alone(tmp_path: Path) -> None:
    words = ("mcp", "--verbosity", "debug", "--requests", "5", "--csv")
    with measure(*words, tmp_path=tmp_path) as command:
        out, _ = command.finish()
        assert_nothing_is_left(command)
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["engine"], row["verbosity"], row["start_stdout_bytes"]) == ("mcp", "DEBUG", "")
    assert int(row["start_stderr_bytes"]) > 0  # in every version of the SDK so far
    assert row["remark"] == ""


@pytest.mark.timeout(RUN)  # starts a whole program and a shell: 1 s on two idle cores
def test_what_could_not_be_measured_is_said_and_is_a_failure(tmp_path: Path) -> None:
    line = "sh -c 'sleep 600 & echo no such database >&2; exit 3'"
    with measure("--mcp", line, "--requests", "1", tmp_path=tmp_path) as command:
        out, err = command.finish(FAILED)
        assert_nothing_is_left(command)
    for said in (out, err):
        assert "exited with status 3; it said: no such database" in said


MOMENTS = {
    "while it starts": r"^1/",
    "drained": r"1/9 answered",
    "unread": r"the pipe .* \d answered",
}


@pytest.mark.timeout(RUN)  # starts a whole program and an engine once or twice
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
@pytest.mark.parametrize("engine", ["llama-server", "mcp"])
def test_ctrl_c_ends_it_with_130_and_nothing_is_left(
    engine: str, moment: str, tmp_path: Path
) -> None:
    model = ("--model", str(tiny_gguf(tmp_path))) if engine == "llama-server" else ()
    words = (engine, "--verbosity", "debug", "--prove", "--requests", "9", *model)
    with measure(*words, tmp_path=tmp_path) as command:
        command.wait_says(moment)
        command.process.send_signal(signal.SIGINT)
        out, err = command.finish(INTERRUPTED)
        assert out == ""
        assert err.endswith("interrupted; nothing is left running\n")
        assert "Traceback" not in err
        assert_nothing_is_left(command)


@pytest.mark.timeout(RUN)  # as above
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_sigterm_ends_it_as_ctrl_c_does(moment: str, tmp_path: Path) -> None:
    words = ("llama-server", "--verbosity", "debug", "--prove", "--requests", "9")
    with measure(*words, "--model", str(tiny_gguf(tmp_path)), tmp_path=tmp_path) as command:
        command.wait_says(moment)
        command.process.send_signal(signal.SIGTERM)
        _, err = command.finish(INTERRUPTED)
        assert err.endswith("interrupted; nothing is left running\n")
        assert_nothing_is_left(command)


@pytest.mark.timeout(RUN)  # as above
@pytest.mark.parametrize("run", ["drained", "unread"])
def test_nothing_is_left_when_it_is_killed_not_even_by_a_server_behind_a_shell(
    run: str, tmp_path: Path
) -> None:
    server = f"{sys.executable} -m safe_llm.worker.measured_mcp_server"
    line = f"sh -c 'setsid sleep 600 & {server}; true'"
    with measure("--mcp", line, "--prove", "--requests", "9", tmp_path=tmp_path) as command:
        command.wait_says(MOMENTS[run])
        assert comes_true(lambda: len(command.running()) > 3)
        command.process.kill()
        assert comes_true(lambda: not command.running())


@pytest.mark.timeout(RUN + 20)  # as above
def test_a_disk_that_is_full_is_said_as_such() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "safe_llm", "measure", "mcp", "--requests", "1"],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            timeout=RUN,
        )
    assert done.returncode == FAILED
    assert "error: the output cannot be written: [Errno 28]" in done.stderr
    assert "Traceback" not in done.stderr
