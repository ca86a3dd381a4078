"""The engines on which one suite runs: how each is made, disturbed, and seen past all of ours.

What only one of them has (HTTP, sockets, flags of a command line) is tested with that one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import anyio

from safe_llm.engines.interpreter import worker_command
from safe_llm.engines.llama_cpp import LlamaCppPython
from safe_llm.engines.spec import LlamaCppPythonSpec
from tests.controls.standstill import threads_of
from tests.llama_engine import (
    BOUND,
    DEBUG,
    SERVER,
    ask,
    comes_true,
    script,
    socket_of,
    tiny_spec,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from safe_llm.engines.lease import Lease
    from safe_llm.engines.spec import EngineSpec

_FAR_AWAY = 65536  # tokens: more than a test has time for
_ENOUGH = 512  # tokens, for a few short texts
_MEAN = 1  # LLAMA_POOLING_TYPE_MEAN


class Kind(ABC):
    """An engine that tests are run on."""

    name: ClassVar[str]  # as `LlamaCpp(engine=…)` calls it
    log_of_a_start: ClassVar[str]  # is among the last words of one that was ready
    log_of_a_call: ClassVar[str]  # is in a line of every completion
    calls_a_process: ClassVar[int]  # that may be with one process at a time, its own queue included
    pipes_filled_by_500_requests: ClassVar[int]  # at the least, by one that is talkative

    @abstractmethod
    def spec(
        self,
        model: Path,
        *,
        at_once: int = 1,
        mark: str = "",
        **parameters: int | str,
    ) -> EngineSpec:
        """The model on one thread, generating without end for as long as a test may last.

        At least ``at_once`` calls are served at the same time. Another ``mark`` is another engine.
        """

    @abstractmethod
    def talkative(self, model: Path) -> EngineSpec:
        """One that logs all that it can."""

    @abstractmethod
    def embedding(self, model: Path) -> EngineSpec:
        """One that makes vectors, the mean of those of a text's tokens."""

    @abstractmethod
    def disturbed(self, model: Path, folder: Path, program: str) -> EngineSpec:
        """As ``talkative``, but its process runs this program in Python before anything else."""

    @abstractmethod
    def is_idle(self, engine: Lease) -> bool:
        """Whether it works on nothing, as its processes say themselves."""

    @abstractmethod
    def tokens_predicted(self, engine: Lease) -> int:
        """How many tokens its processes have generated, as they say themselves."""

    def __repr__(self) -> str:
        return f"<Kind {self.name}>"


class _LlamaServer(Kind):
    name = "llama-server"
    log_of_a_start = "listening on"
    log_of_a_call = "processing task"
    calls_a_process = 12  # of which it serves four at a time
    pipes_filled_by_500_requests = 100

    def spec(
        self,
        model: Path,
        *,
        at_once: int = 1,
        mark: str = "",
        **parameters: int | str,
    ) -> EngineSpec:
        assert at_once <= 4  # its slots
        # Its slots share one context: four that never end would fill that of the model.
        given = {"n_ctx": _FAR_AWAY, **parameters}
        env = (("MARK", mark),)
        return tiny_spec(model, "--metrics", env=env, parameters=tuple(given.items()))

    def talkative(self, model: Path) -> EngineSpec:
        return tiny_spec(model, *DEBUG)

    def embedding(self, model: Path) -> EngineSpec:
        return self.spec(model, n_ctx=_ENOUGH, embedding=True, pooling="mean")

    def disturbed(self, model: Path, folder: Path, program: str) -> EngineSpec:
        # A binary that was found on PATH would not be a program in Python.
        binary = script(folder / "llama-server", f'exec {SERVER} "$@"')
        return tiny_spec(model, *DEBUG, binary=binary, env=_running_first(folder, program))

    def is_idle(self, engine: Lease) -> bool:
        return not any(slot["is_processing"] for slot in ask(socket_of(engine), "/slots").json())

    def tokens_predicted(self, engine: Lease) -> int:
        text = ask(socket_of(engine), "/metrics").text
        counters = dict(line.rsplit(" ", 1) for line in text.splitlines())
        return int(counters["llamacpp:tokens_predicted_total"])


class _LlamaCppPython(Kind):
    name = "llama-cpp-python"
    log_of_a_start = "Using chat eos_token"
    log_of_a_call = "llama_perf_context_print"
    calls_a_process = 1
    pipes_filled_by_500_requests = 3

    def spec(
        self,
        model: Path,
        *,
        at_once: int = 1,
        mark: str = "",
        **parameters: int | str,
    ) -> EngineSpec:
        given = {"n_threads": 1, "n_threads_batch": 1, "n_ctx": _FAR_AWAY, **parameters}
        env = (("MARK", mark),)
        return LlamaCppPythonSpec.of(str(model), given, n_workers=at_once, env=env)

    def talkative(self, model: Path) -> EngineSpec:
        return self.spec(model)  # it always is

    def embedding(self, model: Path) -> EngineSpec:
        return self.spec(model, n_ctx=_ENOUGH, embedding=True, pooling_type=_MEAN)

    def disturbed(self, model: Path, folder: Path, program: str) -> EngineSpec:
        return replace(self.talkative(model), env=_running_first(folder, program))

    def is_idle(self, engine: Lease) -> bool:
        idle = not any(said["busy"] or said["queued"] for said in _pinged(engine))
        return idle and all(one.state == "S" for one in threads_of(list(engine.status().pids)))

    def tokens_predicted(self, engine: Lease) -> int:
        return sum(said["tokens_predicted_total"] for said in _pinged(engine))


LLAMA_SERVER, LLAMA_CPP_PYTHON = _LlamaServer(), _LlamaCppPython()
KINDS: Mapping[str, Kind] = {one.name: one for one in (LLAMA_SERVER, LLAMA_CPP_PYTHON)}


def kind_of(engine: Lease) -> Kind:
    """Which kind of engine is behind a lease."""
    is_library = isinstance(engine._shared.engine, LlamaCppPython)
    return LLAMA_CPP_PYTHON if is_library else LLAMA_SERVER


def becomes_idle(engine: Lease) -> bool:
    """Whether the engine works on nothing any more within the bound, as it says itself."""
    return comes_true(partial(kind_of(engine).is_idle, engine))


def tokens_predicted(engine: Lease) -> int:
    """How many tokens the engine has generated since it was started; waits until it is idle."""
    assert becomes_idle(engine)
    return kind_of(engine).tokens_predicted(engine)


def _running_first(folder: Path, program: str) -> tuple[tuple[str, str], ...]:
    """The environment in which every Python begins with this program (see `site`)."""
    (folder / "sitecustomize.py").write_text(program)
    _, usual = worker_command("")
    return (("PYTHONPATH", f"{folder}:{usual['PYTHONPATH']}"),)


def _pinged(engine: Lease) -> list[Mapping[str, Any]]:
    """What the thread that does the work says of it, in each process that runs."""
    backend = engine._shared.engine
    assert isinstance(backend, LlamaCppPython)
    ready = [one.program for one in backend.session._members if one.supervisor.state == "ready"]
    said: list[Mapping[str, Any]] = []

    async def ask_all() -> None:
        with anyio.fail_after(BOUND):
            for program in ready:
                await program.session.ask("ping", {}, lambda reply: said.append(reply.data))

    backend.portal.submit(ask_all, "ping").result()
    return said
