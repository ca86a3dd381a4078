"""What only a llama-server can be given wrongly: flags, a binary, an address."""

from __future__ import annotations

import signal
import socket
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from safe_llm.engines import endpoint as endpoints
from safe_llm.errors import NoPrivateFolder, NotALlamaServer, NotReady, SpawnFailed
from tests.children import python_child
from tests.children.unstartable import make_unstartable
from tests.integration_tests.engines.failing import failure
from tests.llama_engine import (
    BOUND,
    HELLO,
    PATIENT,
    PYTHONPATH,
    SERVER,
    leased,
    script,
    tiny_spec,
    wrapped_server,
)

if TYPE_CHECKING:
    from pathlib import Path

SOON = PATIENT.with_changes(start=0.5)


def test_an_argument_that_the_server_does_not_know(model: Path) -> None:
    error = failure(NotReady, tiny_spec(model, "--no-such-flag"))
    assert "invalid argument: --no-such-flag" in error.last_words


def test_a_value_that_the_server_does_not_understand(model: Path) -> None:
    error = failure(NotReady, tiny_spec(model, parameters=(("n_ctx", "many"),)))
    assert "many" in error.last_words


@pytest.mark.parametrize("name", ["missing", "not_executable", "bad_shebang", "a_directory"])
def test_a_binary_that_cannot_be_started(name: str, model: Path, tmp_path: Path) -> None:
    binary = str(make_unstartable(tmp_path)[name])
    assert binary in str(failure(SpawnFailed, tiny_spec(model, binary=binary)))


def test_a_binary_that_is_something_else(model: Path) -> None:
    error = failure(NotALlamaServer, tiny_spec(model, binary="/bin/echo"))
    assert "/bin/echo is no llama-server" in str(error)


def test_a_binary_that_crashes_when_asked_for_its_help(model: Path, tmp_path: Path) -> None:
    binary = script(tmp_path / "server", "echo no libcuda.so >&2", "kill -SEGV $$")
    error = failure(NotALlamaServer, tiny_spec(model, binary=binary))
    assert "SIGSEGV" in str(error)
    assert "no libcuda.so" in str(error)


def test_a_binary_that_prints_its_help_and_serves_nothing(model: Path, tmp_path: Path) -> None:
    binary = script(tmp_path / "server", f'exec {" ".join(python_child("help_only"))} "$@"')
    spec = replace(tiny_spec(model, binary=binary), parameters=())
    error = failure(NotReady, spec, SOON)
    assert error.reason == "it runs and does not answer"
    assert error.waited > 0.5
    assert error.hint == "raise Limits.start if it is only slow"


def test_no_room_for_a_socket(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "_bases", lambda: [str(tmp_path / "gone")])
    error = failure(NoPrivateFolder, tiny_spec(model))
    assert "No such file or directory" in error.reason
    assert "TMPDIR" in error.hint


@pytest.mark.row(41)
def test_a_second_listener_on_our_socket_is_noticed(model: Path, tmp_path: Path) -> None:
    """It binds the path itself, and the server of ours is only a sleeper."""
    answers = " ".join(python_child("other_listener"))
    binary = wrapped_server(
        tmp_path / "server", start=f'setsid {answers} "$2" > /dev/null & exec sleep 600'
    )
    spec = tiny_spec(model, binary=binary, env=PYTHONPATH)
    error = failure(NotReady, spec, PATIENT.with_changes(start=BOUND))
    assert "something that is not our llama-server answers at its address" in error.reason


@pytest.mark.row(41)
def test_a_real_server_of_somebody_else_on_our_socket_is_not_taken_for_ours(
    model: Path, tmp_path: Path
) -> None:
    """It answers all questions rightly: only who it is gives it away."""
    binary = wrapped_server(
        tmp_path / "server", start=f'setsid {SERVER} "$@" 2> /dev/null & exec sleep 600'
    )
    spec = tiny_spec(model, binary=binary, env=PYTHONPATH)
    error = failure(NotReady, spec, PATIENT.with_changes(start=BOUND))
    assert "which is not ours, listens on its socket" in error.reason


@pytest.fixture
def taken_port(monkeypatch: pytest.MonkeyPatch) -> int:
    """Ports instead of sockets, and always the same one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    monkeypatch.setattr(endpoints, "_private_folder", lambda _: None)
    monkeypatch.setattr(endpoints, "_free_port", lambda: port)
    return port


def test_a_port_serves_as_well_as_a_socket_and_asks_for_the_key(
    model: Path, taken_port: int
) -> None:
    with leased(tiny_spec(model)) as engine:
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"
        assert len(engine.tokenize("hello", PATIENT)) == 5


@pytest.mark.row(41)
def test_something_else_that_answers_at_our_port_is_noticed(model: Path, taken_port: int) -> None:
    argv = python_child("other_listener", taken_port)
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        try:
            error = failure(NotReady, tiny_spec(model), PATIENT.with_changes(start=BOUND))
            assert "answers at its address" in error.reason or "bind" in error.last_words
        finally:
            other.send_signal(signal.SIGKILL)
