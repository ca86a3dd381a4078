"""A llama-cpp worker as a supervised program: how it is started, when it is ready, what it logs."""

from __future__ import annotations

import importlib.util
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from safe_llm.engines.interpreter import worker_command
from safe_llm.engines.loading import fraction_in_memory
from safe_llm.engines.spec import check_model_file
from safe_llm.engines.worker_session import Hangup, WorkerSession
from safe_llm.errors import MissingExtra, ModelFileInvalid, NotReady, StartupFailed
from safe_llm.process.command import Command
from safe_llm.protocol.llama_log import level_of_unmarked
from safe_llm.protocol.worker import REPLIES_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.engines.backend import MakeRoom
    from safe_llm.engines.spec import LlamaCppPythonSpec
    from safe_llm.process.child import Child
    from safe_llm.protocol.worker import Reply
    from safe_llm.supervise.portal import Portal
    from safe_llm.supervise.program import Busy

LIBRARY = "llama_cpp"
INSTALL = (
    "CMAKE_ARGS=-DGGML_NATIVE=OFF pip install 'safe-llm[llama-cpp]'"
    "  (compiles llama.cpp: minutes, and a C++ compiler)"
)
_HINTS = {
    "not_installed": INSTALL,
    "no_memory": "a smaller n_ctx, a smaller type_k and type_v, or fewer workers",
}


def require_library() -> None:
    """Raise ``MissingExtra`` where llama-cpp-python is not installed. Imports nothing."""
    if importlib.util.find_spec(LIBRARY) is None:
        raise MissingExtra(what="llama-cpp-python", extra="llama-cpp", hint=INSTALL)


class LlamaCppProgram:
    """A ``supervise.program.Program``: one worker process with one model and one context."""

    def __init__(
        self,
        spec: LlamaCppPythonSpec,
        portal: Portal,
        max_message_bytes: int,
        make_room: MakeRoom,
    ) -> None:
        self._spec = spec
        self._portal = portal
        self._max_message_bytes = max_message_bytes
        self._make_room = make_room
        self._session: WorkerSession | None = None
        self._is_loaded = False
        self._refusal: StartupFailed | None = None
        self._model_path = ""
        self.model: Mapping[str, Any] = {}  # what the worker said of the model that it has loaded

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._spec.name

    @property
    def session(self) -> WorkerSession:
        """The conversation with the present incarnation."""
        if self._session is None:
            raise AssertionError(self.name)
        return self._session

    async def prepare(self) -> Command:
        """Check the model and the library; return the command."""
        self._model_path = check_model_file(self._spec.model_path)
        if self._spec.projector_path:
            check_model_file(self._spec.projector_path)
        require_library()
        await self._make_room()
        self._session, self._is_loaded, self._refusal = None, False, None
        argv, env = worker_command("llama_cpp")
        return Command(argv, env={**env, **dict(self._spec.env)}, replies=REPLIES_VARIABLE)

    async def clean_up(self) -> None:
        """Nothing was made."""

    # -- asking it

    async def is_ready(self, child: Child) -> bool:
        """Whether the model is loaded; the first time that this is asked, have it loaded."""
        if self._session is None:
            self._session = session = WorkerSession(child, self.name, self._max_message_bytes)
            self._portal.spawn_task(session.read, f"{self.name}: replies")
            self._portal.spawn_task(partial(self._load, session, child), f"{self.name}: load")
        if self._refusal is not None:
            raise self._refusal
        return self._is_loaded

    async def _load(self, session: WorkerSession, child: Child) -> None:
        def take(reply: Reply) -> None:
            if reply.kind == "error":
                self._refusal = self._refused(reply.data, child)
            elif reply.kind == "done":
                self.model, self._is_loaded = reply.data, True

        wanted = {**self._spec.loading(), "model_path": self._model_path}
        with suppress(Hangup):  # its exit says why
            await session.ask("load", wanted, take)

    def _refused(self, data: Mapping[str, Any], child: Child) -> StartupFailed:
        kind, reason = str(data.get("kind")), str(data.get("message"))
        if kind == "bad_model":
            path = self._spec.model_path
            return ModelFileInvalid(program=self.name, path=path, reason=reason)
        return NotReady(
            program=self.name,
            reason=reason,
            waited=child.statistics().age,
            hint=_HINTS.get(kind, ""),
            last_words=child.last_words(),
        )

    def loaded(self, child: Child) -> float | None:
        """How much of the model file is in memory."""
        return fraction_in_memory(child.pid, self._spec.model_path)

    async def is_alive(self, child: Child) -> bool:
        """Ask the thread that does the work; it answers between two tokens."""
        del child
        try:
            await self.session.ask("ping", {}, lambda _: None)
        except Hangup:
            return False
        return True

    async def busy(self, child: Child) -> Busy | None:
        """The calls that it has not given back."""
        del child
        return self.session.busy

    def level_of(self, line: str) -> int:
        """The level of a line: llama-cpp-python writes no levels, and mostly details."""
        return level_of_unmarked(line)
