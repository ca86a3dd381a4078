"""What stands behind the leases: the engine itself, whose work is all done on the portal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from safe_llm.engines.base import EngineStatus
from safe_llm.process.hub import hub
from safe_llm.supervise.states import RESTING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from safe_llm.engines.base import Embeddings, EmitChat, EmitText, ModelDescription, Ranked
    from safe_llm.engines.spec import EngineSpec
    from safe_llm.limits import Limits
    from safe_llm.supervise.portal import Portal
    from safe_llm.supervise.states import SupervisorStatistics

MakeRoom = Callable[[], Awaitable[None]]
"""Stops engines that nobody uses, before another one is started."""


class Session(Protocol):
    """The processes of an engine, as far as any engine needs to know them."""

    def statistics(self) -> SupervisorStatistics:
        """Return an immutable snapshot, from any thread."""
        ...

    async def stop(self, reason: str) -> None:
        """End the calls and the processes, and wait until nothing is left."""


class Backend(Protocol):
    """An engine, started at its first call. All but ``status`` runs on the portal."""

    used_at: float

    @property
    def spec(self) -> EngineSpec:
        """Which engine it is."""
        ...

    @property
    def portal(self) -> Portal:
        """Where its work is done."""
        ...

    @property
    def session(self) -> Session:
        """Its processes."""
        ...

    async def start(self, limits: Limits) -> None:
        """Have it ready."""

    async def generate(self, body: Mapping[str, Any], limits: Limits, emit: EmitText) -> None:
        """Complete one prompt, handing each piece to ``emit``."""

    async def converse(self, body: Mapping[str, Any], limits: Limits, emit: EmitChat) -> None:
        """Answer one conversation, handing each piece to ``emit``."""

    async def embed(self, texts: Sequence[str], limits: Limits, *, normalize: bool) -> Embeddings:
        """Return one vector for each text."""
        ...

    async def rerank(
        self, query: str, documents: Sequence[str], limits: Limits
    ) -> tuple[Ranked, ...]:
        """Return all documents, the best first."""
        ...

    async def tokenize(self, text: str, limits: Limits) -> list[int]:
        """Return the tokens of a text, without special ones added."""
        ...

    async def count_tokens(self, body: Mapping[str, Any], limits: Limits) -> int:
        """Return how many tokens the prompt of a chat has."""
        ...

    async def describe(self, limits: Limits) -> ModelDescription:
        """Return what the model is and can take."""
        ...


def is_running(backend: Backend) -> bool:
    """Whether a process of ours runs for it, or is about to."""
    ours = backend.spec.base_url is None
    return ours and backend.session.statistics().state not in RESTING


def is_busy(backend: Backend) -> bool:
    """Whether a call is in flight."""
    return backend.session.statistics().calls_in_flight > 0


def status(backend: Backend, leases: int) -> EngineStatus:
    """Return what is known of it. From any thread."""
    seen = backend.session.statistics()
    return EngineStatus(
        name=backend.spec.name,
        state=seen.state,
        pid=seen.pids[0] if seen.pids else None,
        pids=seen.pids,
        model=backend.spec.model_path,
        uptime=seen.uptime,
        restarts=seen.restarts,
        calls_in_flight=seen.calls_in_flight,
        stdout_bytes=seen.stdout_bytes,
        stderr_bytes=seen.stderr_bytes,
        dropped_bytes=seen.dropped_bytes,
        heartbeat_gap=hub().loop.clock.longest_gap,
        leases=leases,
        last_lines=seen.last_lines,
    )
