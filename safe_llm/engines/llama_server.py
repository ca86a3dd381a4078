"""The llama-server engine: completions over HTTP, on a process of ours or on somebody else's.

Always streams on the wire and aggregates here: only a streaming client's leaving frees the slot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from safe_llm.engines.base import (
    Completion,
    CompletionChunk,
    EngineStatus,
    FinishReason,
    Usage,
)
from safe_llm.engines.http import HttpClient
from safe_llm.engines.llama_program import LlamaProgram, refuse_changed_address
from safe_llm.errors import EngineDied, MisuseError, ProtocolViolation, RemoteError
from safe_llm.limits import Limits, StopPolicy
from safe_llm.process.hub import hub
from safe_llm.supervise.attached import Attached
from safe_llm.supervise.portal import Portal, portal
from safe_llm.supervise.restart import RestartPolicy
from safe_llm.supervise.states import RESTING
from safe_llm.supervise.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from safe_llm.engines.spec import LlamaServerSpec
    from safe_llm.events import Observer

_DEATH_GRACE = 0.5  # a connection that broke may be the first sign of a process that has died
_UNIX = "unix:"

Emit = Callable[[CompletionChunk], None]
MakeRoom = Callable[["LlamaServer"], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How an engine is looked after. Of objects that share one, the first one's count.

    ``idle_timeout`` seconds without a call stop it until the next; ``max_engines`` stops the least
    recently used engines that have no call in flight, before another one is started.
    """

    limits: Limits = field(default_factory=Limits)
    stop_policy: StopPolicy = field(default_factory=StopPolicy)
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)
    idle_timeout: float | None = None
    max_engines: int | None = None
    observers: tuple[Observer, ...] = ()


class LlamaServer:
    """One llama-server, started at its first call. All but ``status`` runs on the portal."""

    def __init__(
        self, spec: LlamaServerSpec, settings: EngineSettings, make_room: MakeRoom
    ) -> None:
        refuse_changed_address(spec.server_args)
        self.spec = spec
        self.settings = settings
        self.portal: Portal = portal()
        self.used_at = 0.0
        self._program: LlamaProgram | None = None  # none where somebody else runs it
        self._session: Supervisor | Attached
        self._http: Callable[[], HttpClient]
        if spec.base_url is None:
            room = partial(make_room, self)
            self._program = program = LlamaProgram(spec, settings.limits.max_message_bytes, room)
            self._http = lambda: program.http
            self._session = Supervisor(
                program,
                self.portal,
                limits=_limits(spec, settings.limits),
                stop_policy=settings.stop_policy,
                restart_policy=settings.restart_policy,
                idle_timeout=settings.idle_timeout,
                observers=settings.observers,
            )
        else:
            client = _attached_client(spec, settings.limits.max_message_bytes)
            self._http = lambda: client
            self._session = Attached(spec.name, self.portal)

    async def start(self, limits: Limits) -> None:
        """Have it ready."""
        async with self._session.call(limits):
            if self._program is None:
                async with self._explaining():
                    await self._http().check_health()

    async def generate(self, body: Mapping[str, Any], limits: Limits, emit: Emit) -> None:
        """Complete one prompt, handing each piece to ``emit``."""
        request = {**body, "stream": True}
        finished = False
        async with self._session.call(limits) as call:
            async with self._explaining(), self._http().events("/completion", request) as events:
                async for event in events:
                    call.heard()
                    emit(read_chunk(event))
                    finished = finished or bool(event.get("stop"))
            if not finished:
                raise await self._explained(None)

    async def complete(self, body: Mapping[str, Any], limits: Limits) -> Completion:
        """Complete one prompt."""
        pieces: list[CompletionChunk] = []
        await self.generate(body, limits, pieces.append)
        return aggregate(pieces)

    async def tokenize(self, text: str, limits: Limits) -> list[int]:
        """Return the tokens of a text, without special ones added."""
        async with self._session.call(limits), self._explaining():
            answer = await self._http().post("/tokenize", {"content": text})
        tokens = answer.get("tokens") if isinstance(answer, dict) else None
        if not isinstance(tokens, list):
            raise ProtocolViolation(peer=self.spec.name, reason="/tokenize gave no tokens")
        return tokens

    async def stop(self, reason: str) -> None:
        """Stop the process, if it is ours, and wait until nothing of it is left."""
        await self._session.stop(reason)

    def status(self, leases: int) -> EngineStatus:
        """Return what is known of it. From any thread."""
        seen = self._session.statistics()
        return EngineStatus(
            name=self.spec.name,
            state=seen.state,
            pid=seen.pid,
            model=self.spec.model_path,
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

    @property
    def is_running(self) -> bool:
        """Whether a process of ours runs for it, or is about to."""
        return self._program is not None and self._session.statistics().state not in RESTING

    @property
    def is_busy(self) -> bool:
        """Whether a call is in flight."""
        return self._session.statistics().calls_in_flight > 0

    @asynccontextmanager
    async def _explaining(self) -> AsyncIterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise await self._explained(error) from error

    async def _explained(self, error: httpx.TransportError | None) -> EngineDied | RemoteError:
        """Say why a connection broke: mostly a death, which is seen a moment later."""
        died = await self._session.death_of(_DEATH_GRACE)
        if died is not None:
            return died
        reason = f"{type(error).__name__}: {error}" if error else "the answer ended too early"
        hint = f"is a llama-server running at {self.spec.base_url}?" if self.spec.base_url else ""
        return RemoteError(engine=self.spec.name, message=reason, hint=hint)


def _attached_client(spec: LlamaServerSpec, max_message_bytes: int) -> HttpClient:
    url = spec.base_url or ""
    path = url.removeprefix(_UNIX).removeprefix("//") if url.startswith(_UNIX) else None
    try:
        return HttpClient(
            spec.name,
            "http://engine" if path else url,
            socket_path=path,
            api_key=spec.api_key,
            max_message_bytes=max_message_bytes,
        )
    except (httpx.InvalidURL, UnicodeError) as error:
        raise MisuseError(
            reason=f"there can be no server at base_url={url!r}: {error}",
            hint="base_url='http://host:port' or 'unix:/path/of/a/socket'",
        ) from error


def _limits(spec: LlamaServerSpec, limits: Limits) -> Limits:
    if limits.flood_action is None and spec.logs_for_debugging:
        return limits.with_changes(flood_action="warn")  # it does what it was asked to do
    return limits


def read_chunk(event: Mapping[str, Any]) -> CompletionChunk:
    """Translate one event of llama-server's ``/completion`` stream."""
    logprobs = tuple(event.get("completion_probabilities") or ())
    text = str(event.get("content", ""))
    if not event.get("stop"):
        return CompletionChunk(text=text, logprobs=logprobs)
    timings = event.get("timings") or {}
    reason: FinishReason = "length" if event.get("stop_type") == "limit" else "stop"
    usage = Usage(
        prompt_tokens=int(event.get("tokens_evaluated", 0)),
        completion_tokens=int(event.get("tokens_predicted", 0)),
        cached_tokens=int(timings.get("cache_n", 0)),
    )
    return CompletionChunk(text, logprobs, reason, usage, timings)


def aggregate(pieces: list[CompletionChunk]) -> Completion:
    """Join the pieces of one completion."""
    last = pieces[-1]
    return Completion(
        text="".join(piece.text for piece in pieces),
        finish_reason=last.finish_reason,
        usage=last.usage,
        logprobs=tuple(one for piece in pieces for one in piece.logprobs),
        timings=last.timings,
    )
