"""What cannot work ends in a typed error with figures and a hint, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from safe_llm.engines import endpoint as endpoints
from safe_llm.errors import (
    MisuseError,
    ModelFileInvalid,
    NoPrivateFolder,
    NotALlamaServer,
    NotReady,
    PromptTooLong,
    RemoteError,
    SafeLlmError,
    SpawnFailed,
)
from tests.children import python_child
from tests.children.unstartable import make_unstartable
from tests.llama_engine import (
    BOUND,
    HELLO,
    PATIENT,
    PYTHONPATH,
    ROOT,
    SERVER,
    leased,
    script,
    tiny_spec,
    wrapped_server,
)
from tests.models import truncated_gguf

if TYPE_CHECKING:
    from safe_llm.engines.spec import LlamaServerSpec
    from safe_llm.limits import Limits

E = TypeVar("E", bound=SafeLlmError)
SOON = PATIENT.with_changes(start=0.5)


def _failure(kind: type[E], spec: LlamaServerSpec, limits: Limits = PATIENT) -> E:
    """The error of the first call, and of the second one."""
    with leased(spec, limits) as engine:
        with pytest.raises(kind):
            engine.complete(HELLO, limits)
        with pytest.raises(kind) as caught:
            engine.complete(HELLO, limits)
        assert engine.status().pid is None or engine.status().state == "stopping"
    return caught.value


def test_a_model_that_is_missing(model: Path) -> None:
    error = _failure(ModelFileInvalid, tiny_spec(model.with_name("missing.gguf")))
    assert error.reason == "there is no such file"
    assert model.name in error.hint


def test_a_model_that_is_something_else(tmp_path: Path) -> None:
    other = tmp_path / "model.gguf"
    other.write_bytes(b"PK\x03\x04 a zip archive")
    assert "b'PK\\x03\\x04'" in str(_failure(ModelFileInvalid, tiny_spec(other)))


def test_a_model_whose_end_is_missing_is_told_in_the_servers_own_words(tmp_path: Path) -> None:
    error = _failure(NotReady, tiny_spec(truncated_gguf(tmp_path)))
    assert error.exit_status == "exited with status 1"
    assert "is not within the file bounds" in error.last_words


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(("mode", "reason"), [(0o755, "not readable"), (0o700, "denied")])
def test_a_model_that_may_not_be_read(mode: int, reason: str, model: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's own lets nobody else in
        assert reason in _refusal_for_nobody(model, Path(folder), mode)


def _refusal_for_nobody(model: Path, folder: Path, mode: int) -> str:
    mine = folder / "model.gguf"
    mine.write_bytes(model.read_bytes())
    mine.chmod(0o600)
    folder.chmod(mode)
    program = f"""if True:
        import os
        from safe_llm.engines.spec import check_model_file
        from safe_llm.errors import ModelFileInvalid
        os.setgroups([]), os.setgid(65534), os.setuid(65534)  # imports need the rights of root
        try:
            check_model_file({str(mine)!r})
        except ModelFileInvalid as error:
            print(error)
    """
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True,
        timeout=BOUND, check=True,
    )  # fmt: skip
    return said.stdout


def test_a_prompt_that_is_longer_than_the_context_is_so_by_a_number(model: Path) -> None:
    spec = tiny_spec(model, parameters=(("n_ctx", 256),))
    with leased(spec) as engine:
        with pytest.raises(PromptTooLong) as caught:
            engine.complete({**HELLO, "prompt": "x" * 1000}, PATIENT)
        error = caught.value
        assert error.prompt_tokens == 1001
        assert error.context_tokens == 256
        assert "745 too many" in str(error)
        assert "n_ctx" in error.hint
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"


def test_a_request_that_the_server_refuses_is_refused_in_its_words(model: Path) -> None:
    with leased(tiny_spec(model)) as engine:
        with pytest.raises(RemoteError, match="status 400"):
            engine.complete({**HELLO, "grammar": "root ::= ((("}, PATIENT)
        with pytest.raises(MisuseError, match="cannot be written as JSON"):
            engine.complete({**HELLO, "temperature": float("nan")}, PATIENT)
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"


def test_an_unknown_parameter(model: Path) -> None:
    error = _failure(MisuseError, tiny_spec(model, parameters=(("n_cxt", 1),)))
    assert "'n_cxt' is no parameter" in error.reason
    assert "n_ctx" in error.hint


def test_an_argument_that_the_server_does_not_know(model: Path) -> None:
    error = _failure(NotReady, tiny_spec(model, "--no-such-flag"))
    assert "invalid argument: --no-such-flag" in error.last_words


def test_a_value_that_the_server_does_not_understand(model: Path) -> None:
    error = _failure(NotReady, tiny_spec(model, parameters=(("n_ctx", "many"),)))
    assert "many" in error.last_words


def test_a_negative_limit() -> None:
    with pytest.raises(MisuseError, match="total=-1 is not a non-negative"):
        PATIENT.with_changes(total=-1)


@pytest.mark.parametrize("name", ["missing", "not_executable", "bad_shebang", "a_directory"])
def test_a_binary_that_cannot_be_started(name: str, model: Path, tmp_path: Path) -> None:
    binary = str(make_unstartable(tmp_path)[name])
    assert binary in str(_failure(SpawnFailed, tiny_spec(model, binary=binary)))


def test_a_binary_that_is_something_else(model: Path) -> None:
    error = _failure(NotALlamaServer, tiny_spec(model, binary="/bin/echo"))
    assert "/bin/echo is no llama-server" in str(error)


def test_a_binary_that_crashes_when_asked_for_its_help(model: Path, tmp_path: Path) -> None:
    binary = script(tmp_path / "server", "echo no libcuda.so >&2", "kill -SEGV $$")
    error = _failure(NotALlamaServer, tiny_spec(model, binary=binary))
    assert "SIGSEGV" in str(error)
    assert "no libcuda.so" in str(error)


def test_a_binary_that_prints_its_help_and_then_crashes(model: Path, tmp_path: Path) -> None:
    binary = wrapped_server(tmp_path / "server", start="echo out of memory >&2; exit 3")
    error = _failure(NotReady, tiny_spec(model, binary=binary, env=PYTHONPATH))
    assert error.exit_status == "exited with status 3"
    assert error.last_words == "out of memory"


def test_a_binary_that_prints_its_help_and_serves_nothing(model: Path, tmp_path: Path) -> None:
    binary = script(tmp_path / "server", f'exec {" ".join(python_child("help_only"))} "$@"')
    spec = replace(tiny_spec(model, binary=binary), parameters=())
    error = _failure(NotReady, spec, SOON)
    assert error.reason == "it runs and does not answer"
    assert error.waited > 0.5
    assert error.hint == "raise Limits.start if it is only slow"


def test_no_room_for_a_socket(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "_bases", lambda: [str(tmp_path / "gone")])
    error = _failure(NoPrivateFolder, tiny_spec(model))
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
    error = _failure(NotReady, spec, PATIENT.with_changes(start=BOUND))
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
    error = _failure(NotReady, spec, PATIENT.with_changes(start=BOUND))
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
            error = _failure(NotReady, tiny_spec(model), PATIENT.with_changes(start=BOUND))
            assert "answers at its address" in error.reason or "bind" in error.last_words
        finally:
            other.send_signal(signal.SIGKILL)
