"""The llama-server engine: completions over HTTP, on a process of ours or on somebody else's.

Always streams on the wire and aggregates here: only a streaming client's leaving frees the slot.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from safe_llm.engines.http import HttpClient
from safe_llm.engines.llama_program import LlamaProgram, refuse_changed_address
from safe_llm.engines.llama_server_answers import (
    CHAT_PATH,
    COUNT_PATH,
    EMBEDDINGS_PATH,
    PROPS_PATH,
    RERANK_PATH,
    TEMPLATE_PATH,
    ChatEnding,
    read_completion,
    read_embeddings,
    read_props,
    read_ranks,
)
from safe_llm.engines.media import check_media, media_in
from safe_llm.engines.tool_choice import plan_tools
from safe_llm.errors import EngineDied, MisuseError, ProtocolViolation, RemoteError
from safe_llm.supervise.attached import Attached
from safe_llm.supervise.portal import Portal, portal
from safe_llm.supervise.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from safe_llm.engines.backend import MakeRoom
    from safe_llm.engines.base import Embeddings, EmitChat, EmitText, ModelDescription, Ranked
    from safe_llm.engines.settings import EngineSettings
    from safe_llm.engines.spec import LlamaServerSpec
    from safe_llm.engines.tool_choice import ToolReader
    from safe_llm.limits import Limits

_DEATH_GRACE = 0.5  # a connection that broke may be the first sign of a process that has died
_UNIX = "unix:"
_ANY_LENGTH = {"embd_normalize": -1}  # of its vectors; unasked it makes that one


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
        self._described: ModelDescription | None = None
        self._program: LlamaProgram | None = None  # none where somebody else runs it
        self.session: Supervisor | Attached
        self._http: Callable[[], HttpClient]
        if spec.base_url is None:
            self._program = program = LlamaProgram(
                spec, settings.limits.max_message_bytes, make_room
            )
            self._http = lambda: program.http
            self.session = Supervisor(
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
            self.session = Attached(spec.name, self.portal)

    async def start(self, limits: Limits) -> None:
        """Have it ready."""
        async with self.session.call(limits):
            if self._program is None:
                async with self._explaining():
                    await self._http().check_health()

    async def generate(self, body: Mapping[str, Any], limits: Limits, emit: EmitText) -> None:
        """Complete one prompt, handing each piece to ``emit``."""
        request = {**body, "stream": True}
        finished = False
        async with self.session.call(limits) as call:
            async with self._explaining(), self._http().events("/completion", request) as events:
                async for event in events:
                    call.heard()
                    emit(read_completion(event))
                    finished = finished or bool(event.get("stop"))
            if not finished:
                raise await self._explained(None)

    async def converse(self, body: Mapping[str, Any], limits: Limits, emit: EmitChat) -> None:
        """Answer one conversation, handing each piece to ``emit``."""
        ending = ChatEnding()
        async with self.session.call(limits) as call:
            planned, reader = await self._planned(body)
            request = {**planned, "stream": True, "stream_options": {"include_usage": True}}
            async with self._explaining(), self._http().events(CHAT_PATH, request) as events:
                async for event in events:
                    call.heard()
                    piece = ending.take(event)
                    for one in reader.take(piece) if piece else ():
                        emit(one)
            if not ending.came:
                raise await self._explained(None)
        for one in reader.take(ending.piece()):
            emit(one)

    async def _planned(self, body: Mapping[str, Any]) -> tuple[dict[str, Any], ToolReader]:
        """What to ask, and who reads the answer: a plain conversation needs no description."""
        messages = body.get("messages") or ()
        if not body.get("tools") and not media_in(messages):
            return plan_tools(body, None)
        model = await self._description()
        check_media(messages, model)
        return plan_tools(body, model)

    async def count_tokens(self, body: Mapping[str, Any], limits: Limits) -> int:
        """Return how many tokens the prompt of a chat has."""
        async with self.session.call(limits), self._explaining():
            planned, _ = await self._planned(body)
            if media_in(planned["messages"]):  # only the server knows how large they become
                counted = await self._http().post(COUNT_PATH, planned)
                return int(counted["input_tokens"])
            shown = await self._http().post(TEMPLATE_PATH, planned)
            asked = {"content": shown["prompt"], "add_special": True, "parse_special": True}
            return len((await self._http().post("/tokenize", asked))["tokens"])

    async def describe(self, limits: Limits) -> ModelDescription:
        """Return what the model is and can take."""
        async with self.session.call(limits):
            return await self._description()

    async def _description(self) -> ModelDescription:
        if self._described is not None:
            return self._described
        async with self._explaining():
            _, props = await self._http().get(PROPS_PATH)
        described = read_props(props, self.spec.name)
        if self._program is not None:  # a restart of ours loads the same model again
            self._described = described
        return described

    async def embed(self, texts: Sequence[str], limits: Limits, *, normalize: bool) -> Embeddings:
        """Return one vector for each text."""
        asked = {"input": list(texts)} if normalize else {"input": list(texts), **_ANY_LENGTH}
        async with self.session.call(limits), self._explaining():
            answer = await self._http().post(EMBEDDINGS_PATH, asked)
        return read_embeddings(answer, len(texts), peer=self.spec.name)

    async def rerank(
        self, query: str, documents: Sequence[str], limits: Limits
    ) -> tuple[Ranked, ...]:
        """Return all documents, the best first."""
        asked = {"query": query, "documents": list(documents)}
        async with self.session.call(limits), self._explaining():
            answer = await self._http().post(RERANK_PATH, asked)
        return read_ranks(answer, len(documents), peer=self.spec.name)

    async def tokenize(self, text: str, limits: Limits) -> list[int]:
        """Return the tokens of a text, without special ones added."""
        async with self.session.call(limits), self._explaining():
            answer = await self._http().post("/tokenize", {"content": text})
        tokens = answer.get("tokens") if isinstance(answer, dict) else None
        if not isinstance(tokens, list):
            raise ProtocolViolation(peer=self.spec.name, reason="/tokenize gave no tokens")
        return tokens

    @asynccontextmanager
    async def _explaining(self) -> AsyncIterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise await self._explained(error) from error

    async def _explained(self, error: httpx.TransportError | None) -> EngineDied | RemoteError:
        """Say why a connection broke: mostly a death, which is seen a moment later."""
        died = await self.session.death_of(_DEATH_GRACE)
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
