"""A leased engine on the tiny model, and what tests of engines of every kind do with it."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from safe_llm.engines.lease import Lease, lease
from safe_llm.engines.llama_server import LlamaServer
from safe_llm.engines.settings import EngineSettings
from safe_llm.engines.spec import LlamaServerSpec
from safe_llm.limits import NO_LIMITS, Limits
from safe_llm.process.hub import hub
from tests.controls.standstill import threads_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safe_llm.engines.llama_program import LlamaProgram
    from safe_llm.engines.spec import EngineSpec
    from safe_llm.process.child import Child

ROOT = Path(__file__).parents[1]
BOUND = 10.0  # seconds; each step takes a fraction of one
PATIENT = NO_LIMITS.with_changes(call=BOUND, release=4 * BOUND)  # all layers off, and yet bounded
HELLO = {"prompt": "hello", "n_predict": 5}
ENDLESS = {"prompt": "hello", "n_predict": -1}  # the model never stops; see `Kind.spec`
DEBUG = ("-lv", "5")


@contextmanager
def leased(spec: EngineSpec, limits: Limits = PATIENT, **settings: Any) -> Iterator[Lease]:
    """A lease that is closed in the end, and what it had on disk is gone then."""
    with temporary_files_of_its_own() as folder:
        with lease(spec, EngineSettings(limits=limits, **settings)) as engine:
            yield engine
        assert list(folder.iterdir()) == []


@contextmanager
def temporary_files_of_its_own() -> Iterator[Path]:
    """A folder that is ``gettempdir()`` for the time being; its path is short enough."""
    usual = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(prefix="sl-", dir="/tmp") as folder:
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = usual


def pid_of(engine: Lease) -> int:
    """The process behind a lease, which runs; the first one where it has several."""
    pid = engine.status().pid
    assert pid is not None
    return pid


def child_of(engine: Lease) -> Child:
    """The process behind a lease, as the hub has it."""
    return next(one for one in hub().children if one.pid == pid_of(engine))


def pause(pid: int) -> None:
    """Stop a process, and wait until none of its threads runs any more."""
    os.kill(pid, signal.SIGSTOP)
    assert comes_true(lambda: all(one.state == "T" for one in threads_of([pid])))


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """The process does not run inside the block."""
    pause(pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def comes_true(holds: Callable[[], bool], bound: float = BOUND) -> bool:
    """Look until something holds, for at most ``bound`` seconds."""
    until = time.monotonic() + bound
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def script(path: Path, *lines: str) -> str:
    """Write a shell script that may be executed."""
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return str(path)


# -- llama-server alone

SERVER = f"{sys.executable} -m safe_llm.worker.llama_server"
PYTHONPATH = (("PYTHONPATH", str(ROOT)),)


def tiny_spec(model: Path, *server_args: str, **fields: Any) -> LlamaServerSpec:
    """The tiny model on one thread; the context is shifted, so that generation never ends."""
    parameters = (("n_threads", 1), ("context_shift", True), *fields.pop("parameters", ()))
    return LlamaServerSpec(
        model_path=str(model), parameters=parameters, server_args=server_args, **fields
    )


def wrapped_server(path: Path, *before: str, start: str = f'exec {SERVER} "$@"') -> str:
    """A llama-server for ``binary=`` that does something first, but not when asked for its help."""
    return script(path, f'case "$1" in --help) exec {SERVER} --help;; esac', *before, start)


def program_of(engine: Lease) -> LlamaProgram:
    """The program behind a lease."""
    backend = engine._shared.engine
    assert isinstance(backend, LlamaServer)
    assert backend._program is not None
    return backend._program


def socket_of(engine: Lease) -> str:
    """Where the engine listens."""
    endpoint = program_of(engine)._endpoint
    assert endpoint is not None
    assert endpoint.socket_path is not None
    return endpoint.socket_path


def ask(socket_path: str, path: str) -> httpx.Response:
    """Ask a server directly."""
    transport = httpx.HTTPTransport(uds=socket_path)
    with httpx.Client(transport=transport, base_url="http://engine", timeout=BOUND) as client:
        return client.get(path, headers={"Connection": "close"})
