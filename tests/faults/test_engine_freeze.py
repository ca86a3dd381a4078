"""The freeze that all of this is about: llama-server at debug verbosity, unread and drained."""

from __future__ import annotations

import os
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
from tests.llama_engine import BOUND, DEBUG, HELLO, PATIENT, ROOT, comes_true, leased, tiny_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.conftest import Figure

REQUESTS = 500


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
def test_an_engine_whose_stderr_is_not_read_freezes_after_five_requests_at_most(
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
@pytest.mark.timeout(120)  # 500 requests and 15 MB of log lines; 6 s on two idle cores
def test_500_requests_at_the_same_verbosity_are_all_answered_through_a_lease(
    model: Path, figure: Figure
) -> None:
    body = HELLO | {"n_predict": 8, "cache_prompt": False}
    with leased(tiny_spec(model, *DEBUG)) as engine:
        engine.start(PATIENT)
        with figure(f"{REQUESTS} requests at -lv 5"):
            for _ in range(REQUESTS):
                assert engine.complete(body, PATIENT).finish_reason == "length"
        status = engine.status()
        assert (status.restarts, status.calls_in_flight) == (0, 0)
        assert status.stderr_bytes > 100 * os.sysconf("SC_PAGE_SIZE") * 16
