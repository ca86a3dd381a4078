"""Our ``llama-server`` out of the wheel, as seen from outside: a real process, a real socket."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

from safe_llm.protocol.llama_log import level_of
from tests.models import smollm2_path, tiny_gguf, truncated_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("xllamacpp")

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "safe_llm.worker.llama_server")
BOUND = 10.0  # seconds; each step takes a fraction of one
HELLO = {"prompt": "Hello", "n_predict": 8, "stream": True, "seed": 1}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def socket_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sl-") as directory:  # a socket's path: 107 bytes
        yield Path(directory) / "s.sock"


class Server:
    """The program with its stderr read as far as a test wants."""

    def __init__(self, *arguments: object, env: dict[str, str] | None = None) -> None:
        self.log: list[str] = []
        self.process = subprocess.Popen(
            [*PROGRAM, *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # measured: it writes nothing there
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert self.process.stderr is not None
        self.stderr = self.process.stderr

    def read_log_until(self, word: str) -> str:
        """The first line with this word; what comes later stays unread."""
        killer = threading.Timer(BOUND, self.process.kill)
        killer.start()
        try:
            for line in self.stderr:
                self.log.append(line)
                if word in line:
                    return line
        finally:
            killer.cancel()
        raise AssertionError(f"no {word!r} in: {''.join(self.log)}")

    def drain(self) -> None:
        def read() -> None:
            with contextlib.suppress(ValueError):  # closed by the end of the test
                self.log.extend(self.stderr)

        threading.Thread(target=read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(BOUND)
        self.stderr.close()


def _client(socket_path: Path, timeout: float = BOUND, **headers: str) -> httpx.Client:
    # llama-server closes a kept connection at times, just when the next request is sent on it.
    transport = httpx.HTTPTransport(
        uds=str(socket_path), limits=httpx.Limits(max_keepalive_connections=0)
    )
    return httpx.Client(
        transport=transport, base_url="http://engine", timeout=timeout, headers=headers
    )


@contextlib.contextmanager
def _serving(
    socket_path: Path, model: Path, *arguments: object, env: dict[str, str] | None = None
) -> Iterator[tuple[Server, httpx.Client]]:
    options = ("-m", model, "--host", socket_path, "-np", 1, "-t", 1, *arguments)
    with Server(*options, env=env) as server:
        server.read_log_until("listening on")
        server.drain()
        with _client(socket_path) as client:
            yield server, client


def _events(client: httpx.Client, body: dict[str, Any]) -> list[dict[str, Any]]:
    with client.stream("POST", "/completion", json=body) as response:
        assert response.status_code == httpx.codes.OK, response.read()
        lines = [line for line in response.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines)
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def _run(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )


def _post_for_ever(client: httpx.Client) -> None:
    for _ in range(1000):
        client.post("/completion", json=HELLO)


def test_it_streams_a_completion_over_a_unix_socket(models: Path, socket_path: Path) -> None:
    with _serving(socket_path, tiny_gguf(models)) as (_, client):
        *pieces, last = _events(client, HELLO)
    text = "".join(piece["content"] for piece in pieces)
    assert len(text) == 8
    assert text.isascii()
    assert text.isprintable()
    assert (last["stop"], last["stop_type"]) == (True, "limit")
    assert (last["tokens_evaluated"], last["tokens_predicted"]) == (6, 8)
    assert last["timings"]["predicted_n"] == 8


def test_the_tiny_model_can_end_at_its_own_will(models: Path, socket_path: Path) -> None:
    with _serving(socket_path, tiny_gguf(models, stops=True)) as (_, client):
        last = _events(client, {**HELLO, "n_predict": 2000, "temperature": 1.0, "min_p": 0.0})[-1]
    assert last["stop_type"] == "eos"


def test_the_tiny_model_goes_on_to_the_end_of_its_context(models: Path, socket_path: Path) -> None:
    with _serving(socket_path, tiny_gguf(models), "-c", 512) as (_, client):
        last = _events(client, {**HELLO, "n_predict": -1})[-1]
    assert (last["stop_type"], last["truncated"]) == ("limit", True)
    assert last["tokens_predicted"] == 512 - 6


def test_a_client_that_leaves_frees_its_slot(models: Path, socket_path: Path) -> None:
    long = tiny_gguf(models, ctx=65536)
    with _serving(socket_path, long, "-c", 65536) as (_, client):
        with client.stream("POST", "/completion", json={**HELLO, "n_predict": 60000}) as response:
            lines = response.iter_lines()  # dropping this iterator would close the connection
            next(lines)
            assert client.get("/slots").json()[0]["is_processing"]
        for _ in range(2000):  # each look takes a millisecond
            if not client.get("/slots").json()[0]["is_processing"]:
                return
    pytest.fail("the slot is still busy")


def test_port_zero_is_a_free_port_that_the_log_names(models: Path) -> None:
    with Server("-m", tiny_gguf(models), "-np", 1, "-t", 1, "--port", 0) as server:
        address = server.read_log_until("listening on").split()[-1]
        server.drain()
        assert httpx.get(f"{address}/health", timeout=BOUND).json() == {"status": "ok"}


def test_the_key_in_the_environment_is_asked_for_and_never_logged(
    models: Path, socket_path: Path
) -> None:
    env = {"LLAMA_API_KEY": "xyzzy-42"}
    with _serving(socket_path, tiny_gguf(models), "-lv", 5, env=env) as (server, client):
        assert client.get("/health").status_code == httpx.codes.OK
        refused = client.get("/slots")
        assert refused.status_code == httpx.codes.UNAUTHORIZED
        assert refused.json()["error"]["type"] == "authentication_error"
        with _client(socket_path, authorization="Bearer xyzzy-42") as known:
            assert known.get("/slots").status_code == httpx.codes.OK
        assert "xyzzy-42" not in "".join(server.log)


def test_a_prompt_that_is_too_long_is_refused_with_both_numbers(
    models: Path, socket_path: Path
) -> None:
    with _serving(socket_path, tiny_gguf(models), "-c", 256) as (_, client):
        answer = client.post("/completion", json={**HELLO, "prompt": "x" * 300})
    assert answer.status_code == httpx.codes.BAD_REQUEST
    error = answer.json()["error"]
    assert error["type"] == "exceed_context_size_error"
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (301, 256)


def test_embeddings_are_pooled_as_asked(models: Path, socket_path: Path) -> None:
    with _serving(socket_path, tiny_gguf(models), "--embedding", "--pooling", "mean") as (
        _,
        client,
    ):
        [answer] = client.post("/embedding", json={"content": "abc"}).json()
    assert len(answer["embedding"]) == 1
    assert len(answer["embedding"][0]) == 32


def test_every_line_of_its_log_has_a_level_of_its_own_by_default(
    models: Path, socket_path: Path
) -> None:
    nothing = -1
    with _serving(socket_path, tiny_gguf(models)) as (server, client):
        _events(client, HELLO)
        assert server.log
        assert [line for line in server.log if level_of(line, nothing) == nothing] == []


def test_no_python_runs_while_it_serves(models: Path, socket_path: Path) -> None:
    def switches(pid: int) -> int:
        status = Path(f"/proc/{pid}/task/{pid}/status").read_text()
        return int(status.partition("voluntary_ctxt_switches:")[2].split()[0])

    with _serving(socket_path, tiny_gguf(models)) as (server, client):
        before = switches(server.process.pid)
        for _ in range(100):
            _events(client, HELLO)
        # The one Python thread wakes once a second to see whether the server still runs.
        assert switches(server.process.pid) - before < 50


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(models: Path, socket_path: Path, number: signal.Signals) -> None:
    with _serving(socket_path, tiny_gguf(models)) as (server, _):
        server.process.send_signal(number)
        assert server.process.wait(BOUND) == -number


@pytest.mark.parametrize("verbosity", [3, 5])
def test_with_its_stderr_full_it_freezes_and_a_signal_still_ends_it(
    models: Path, socket_path: Path, verbosity: int
) -> None:
    options = ("-m", tiny_gguf(models), "--host", socket_path, "-np", 1, "-t", 1, "-lv", verbosity)
    with Server(*options) as server, _client(socket_path, timeout=2.0) as client:
        server.read_log_until("listening on")
        with pytest.raises(httpx.TimeoutException):
            _post_for_ever(client)
        server.process.terminate()
        assert server.process.wait(BOUND) == -signal.SIGTERM


def test_a_signal_ends_it_while_it_loads_and_nobody_reads(models: Path, socket_path: Path) -> None:
    deep = tiny_gguf(models, layers=32)  # more log than a pipe holds: it never finishes loading
    with Server("-m", deep, "--host", socket_path, "-lv", 5) as server:
        server.read_log_until("loading model")
        server.process.terminate()
        assert server.process.wait(BOUND) == -signal.SIGTERM


def test_a_truncated_model_ends_it_and_says_why(models: Path, socket_path: Path) -> None:
    ended = _run("-m", truncated_gguf(models), "--host", socket_path)
    assert ended.returncode == 1
    assert "data is not within the file bounds, model is corrupted or incomplete" in ended.stderr
    assert "\nerror: failed to start with model '" in ended.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.gguf", "error: failed to open model file '{}': No such file or directory\n"),
        ("text.gguf", "error: '{}' is no GGUF file: it begins with b'not '\n"),
        ("empty.gguf", "error: '{}' is no GGUF file: it begins with b''\n"),
    ],
)
def test_a_file_that_is_no_model_is_refused_in_one_line(
    tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / "text.gguf").write_text("not a model")
    (tmp_path / "empty.gguf").touch()
    path = tmp_path / name
    ended = _run("-m", path)
    assert (ended.returncode, ended.stderr) == (1, says.format(path))


def test_a_socket_that_cannot_be_made_ends_it(models: Path, tmp_path: Path) -> None:
    ended = _run("-m", tiny_gguf(models), "--host", tmp_path / "absent" / "s.sock")
    assert ended.returncode == 1
    assert "couldn't bind HTTP server socket" in ended.stderr


def test_an_unknown_flag_is_refused_as_the_binary_refuses_it() -> None:
    ended = _run("--bogus")
    assert (ended.returncode, ended.stderr) == (1, "error: invalid argument: --bogus\n")


def test_help_goes_to_stdout_and_version_to_stderr_as_in_the_binary() -> None:
    told = _run("--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert "-c,    --ctx-size N" in told.stdout
    told = _run("--version")
    assert (told.returncode, told.stdout) == (0, "")
    assert told.stderr.startswith("version: ")


def test_without_the_wheel_it_names_the_line_that_helps(models: Path, tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('it is absent')")
    ended = _run("-m", tiny_gguf(models), env={"PYTHONPATH": str(tmp_path)})
    assert ended.returncode == 3
    assert ended.stderr == (
        "error: xllamacpp cannot be imported: it is absent\n"
        "hint: pip install 'safe-llm[llama-server]'\n"
    )


def test_the_instruction_model_is_found_in_its_wheel() -> None:
    assert smollm2_path().suffix == ".gguf"
