"""The freeze that all of this is about: engines that log all that they can, unread and drained."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.controls.standstill import BlockedWrite, blocked_writes, threads_of
from tests.llama_engine import BOUND, DEBUG, HELLO, PATIENT, ROOT, comes_true, leased
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine_kinds import Kind
    from tests.faults.conftest import Figure

REQUESTS = 500
PIPE_BYTES = 65536  # of Linux, where nobody has asked for another size


@contextmanager
def _unread_server(model: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """As people start it: ``stderr=PIPE``, and nobody ever reads it."""
    with tempfile.TemporaryDirectory(prefix="sl-", dir="/tmp") as folder:
        path = Path(folder) / "s.sock"
        with subprocess.Popen(
            [
                *(sys.executable, "-m", "safe_llm.worker.llama_server", "-m", str(model)),
                *("-t", "1", "--host", str(path), *DEBUG),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            transport = httpx.HTTPTransport(uds=str(path))
            try:
                assert comes_true(path.exists)
                with httpx.Client(transport=transport, base_url="http://e", timeout=None) as client:
                    yield process, client
            finally:
                process.kill()


def _frozen(pid: int) -> list[BlockedWrite]:
    return [one for one in blocked_writes(threads_of([pid])) if one.descriptor == 2]


@pytest.mark.row(1)
def test_a_llama_server_whose_stderr_is_not_read_freezes_after_five_requests_at_most(
    model: Path, figure: Figure
) -> None:
    answered: list[int] = []

    def use(client: httpx.Client) -> None:
        while len(answered) < 20:
            try:
                client.post("/completion", json=HELLO | {"n_predict": 16, "cache_prompt": False})
            except httpx.TransportError:  # it was killed, at the end of the test
                return
            answered.append(1)

    with _unread_server(model) as (process, client):
        assert comes_true(lambda: client.get("/health").status_code == 200)
        user = threading.Thread(target=use, args=(client,))
        user.start()
        with figure("the unread server is frozen"):
            assert comes_true(lambda: bool(_frozen(process.pid)) and _stands(process.pid, answered))
        assert len(answered) <= 5
        process.kill()
        user.join(BOUND)
    assert not user.is_alive()


def _stands(pid: int, answered: list[int]) -> bool:
    """Whether a thread stays blocked in its write and nothing is answered meanwhile."""
    before, count = _frozen(pid), len(answered)
    threading.Event().wait(0.5)
    return bool(before) and _frozen(pid) == before and len(answered) == count


@pytest.mark.row(1)
def test_a_llama_cpp_python_whose_stderr_is_not_read_never_finishes_loading(
    tmp_path: Path, figure: Figure
) -> None:
    model = tiny_gguf(tmp_path, layers=16)  # 6.7 KB each
    program = "import sys, llama_cpp; llama_cpp.Llama(sys.argv[1], verbose=True); print('loaded')"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(model)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            with figure("the unread library is frozen"):
                assert comes_true(lambda: _stands(process.pid, []))
        finally:
            process.kill()
        assert process.stdout is not None
        assert process.stdout.read() == b""


@pytest.mark.row(1)
@pytest.mark.timeout(120)  # 500 requests and 15 MB of log lines; 6 s on two idle cores
def test_500_requests_at_the_same_verbosity_are_all_answered_through_a_lease(
    kind: Kind, model: Path, figure: Figure
) -> None:
    body = HELLO | {"n_predict": 8, "cache_prompt": False}
    with leased(kind.talkative(model)) as engine:
        engine.start(PATIENT)
        with figure(f"{REQUESTS} requests at the highest verbosity"):
            for _ in range(REQUESTS):
                assert engine.complete(body, PATIENT).finish_reason == "length"
        status = engine.status()
        assert (status.restarts, status.calls_in_flight) == (0, 0)
        assert status.stderr_bytes > kind.pipes_filled_by_500_requests * PIPE_BYTES
