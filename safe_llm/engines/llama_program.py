"""llama-server as a supervised program: how it is started, when it is ready, what it logs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from safe_llm.engines.binary import find_binary
from safe_llm.engines.endpoint import open_endpoint
from safe_llm.engines.http import HttpClient
from safe_llm.engines.llama_server_flags import flags_for, has_flag
from safe_llm.engines.loading import fraction_in_memory
from safe_llm.engines.spec import check_model_file
from safe_llm.errors import MisuseError, NotReady
from safe_llm.process.command import Command
from safe_llm.protocol.llama_log import level_of
from safe_llm.supervise.program import Busy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from safe_llm.engines.binary import Binary
    from safe_llm.engines.endpoint import Endpoint
    from safe_llm.engines.spec import LlamaServerSpec
    from safe_llm.process.child import Child

_OK, _LOADING, _NOT_SUPPORTED = 200, 503, 501
_WISHES = {
    "verbosity": 3,  # the lowest at which it says what it listens on and what each request took
    "cache_ram_mib": 512,  # of prompts, beside the context; llama-server would take up to 8 GiB
}
_VERBOSITY_FLAGS = frozenset({"-lv", "--verbosity", "--log-verbosity", "-v", "--verbose"})


class LlamaProgram:
    """A ``supervise.program.Program``: one llama-server binary with one model."""

    def __init__(
        self,
        spec: LlamaServerSpec,
        max_message_bytes: int,
        make_room: Callable[[], Awaitable[object]],
    ) -> None:
        self._spec = spec
        self._max_message_bytes = max_message_bytes
        self._make_room = make_room
        self._endpoint: Endpoint | None = None
        self._client: HttpClient | None = None
        self._level = logging.INFO

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._spec.name

    @property
    def http(self) -> HttpClient:
        """The client of the present incarnation."""
        if self._client is None:
            raise AssertionError(self.name)
        return self._client

    async def prepare(self) -> Command:
        """Check the model, find the binary, open a fresh address; return the command."""
        model = check_model_file(self._spec.model_path)
        projector = dict(self._spec.parameters).get("mmproj")
        if projector:
            check_model_file(str(projector))
        binary = await find_binary(self._spec.binary)
        arguments = self._arguments(binary, model)
        await self._make_room()
        self._endpoint = endpoint = open_endpoint(self.name, sockets=binary.knows_sockets)
        self._client = HttpClient(
            self.name,
            endpoint.base_url,
            socket_path=endpoint.socket_path,
            api_key=endpoint.api_key,
            max_message_bytes=self._max_message_bytes,
        )
        key = {"LLAMA_API_KEY": endpoint.api_key} if endpoint.api_key else {}
        return Command(
            [*binary.argv, *endpoint.host_arguments, *arguments],
            env={**dict(binary.env), **dict(self._spec.env), **key},
            stdin="null",
        )

    def _arguments(self, binary: Binary, model: str) -> list[str]:
        parameters: dict[str, Any] = {"model": model, **dict(self._spec.parameters)}
        for name, value in _WISHES.items():  # what nobody asked for, only where it is known
            if has_flag(name, binary.known_flags):
                parameters.setdefault(name, value)
        if not _VERBOSITY_FLAGS.isdisjoint(self._spec.server_args):
            parameters["verbosity"] = None
        ours = flags_for(parameters, binary.known_flags, program=Path(binary.argv[-1]).name)
        return [*ours, *self._spec.server_args]

    async def clean_up(self) -> None:
        """Remove the socket's folder and close the connections."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.clean_up()
        if self._client is not None:
            await self._client.close()

    # -- asking it

    async def is_ready(self, child: Child) -> bool:
        """Whether it answers on the work path, and is the child that we started."""
        try:
            status, body = await self.http.get("/health")
            if status == _LOADING:
                return False
            self._check_health(child, status, body)
            if self._endpoint is not None:
                self._endpoint.check_listener(child)
            status, body = await self.http.get("/slots")
        except (httpx.TransportError, OSError):
            return False
        if status != _NOT_SUPPORTED and not isinstance(body, list):
            raise self._impostor(child, f"/slots answered {status}")
        return True

    def _check_health(self, child: Child, status: int, body: object) -> None:
        if status != _OK or not isinstance(body, dict) or body.get("status") != "ok":
            raise self._impostor(child, f"/health answered {status}")

    def _impostor(self, child: Child, what: str) -> NotReady:
        return NotReady(
            program=self.name,
            reason=f"something that is not our llama-server answers at its address: {what}",
            waited=0.0,
            last_words=child.last_words(),
        )

    def loaded(self, child: Child) -> float | None:
        """How much of the model file is in memory: llama-server itself does not tell."""
        return fraction_in_memory(child.pid, self._spec.model_path)

    async def is_alive(self, child: Child) -> bool:
        """Ask on the work path: a frozen llama-server still answers ``/health`` with 200."""
        return await self.busy(child) is not None

    async def busy(self, child: Child) -> Busy | None:
        """How many slots are processing, and how many of them a prompt."""
        del child
        try:
            status, slots = await self.http.get("/slots")
        except httpx.TransportError:
            return None
        if status != _OK or not isinstance(slots, list):
            return Busy(0)  # an answer all the same: it was told not to show its slots
        busy = [one for one in slots if isinstance(one, dict) and one.get("is_processing")]
        return Busy(len(busy), sum(1 for slot in busy if not _has_generated(slot)))

    def level_of(self, line: str) -> int:
        """The level of a log line; a continuation has that of the line before."""
        self._level = level_of(line, self._level)
        return self._level


def _has_generated(slot: Mapping[str, Any]) -> bool:
    """Whether a slot is past its prompt; ``next_token`` was an object before it became a list."""
    following = slot.get("next_token")
    if isinstance(following, list):
        following = following[0] if following else None
    return not isinstance(following, dict) or following.get("n_decoded") != 0


def refuse_changed_address(server_args: tuple[str, ...]) -> None:
    """Raise ``MisuseError`` for arguments that would move the server out of our reach."""
    ours = {"--host", "--port", "-m", "--model", "--api-key", "--api-key-file"}
    # As in the binary, --api_key is --api-key.
    given = {one.replace("_", "-") if one.startswith("--") else one for one in server_args}
    taken = ours & given
    if taken:
        raise MisuseError(
            reason=f"server_args contains {', '.join(sorted(taken))}, which safe_llm sets itself",
            hint="to use a server of your own, give its address: base_url='http://…'",
        )
