"""MCP servers as subjects: stdout carries their protocol, so stderr alone is log.

No client: it says ``initialize``, and then asks for one thing again and again. A server that does
not know ``initialize`` any more is asked without it.
"""

from __future__ import annotations

import importlib.util
import json
from collections import deque
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_llm.engines.interpreter import worker_command
from safe_llm.errors import MissingExtra
from safe_llm.limits import MiB
from safe_llm.measure.subject import MCP, VERBOSITIES, NoAnswer, Start, Subject
from safe_llm.process.command import Command
from safe_llm.protocol.lines import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from safe_llm.measure.subject import Wire

AS_GIVEN = "as given"
"""The verbosity of a server whose command line is somebody else's."""

_PROTOCOL = "2025-06-18"  # the last revisions that begin with `initialize` all know it
_MODERN_PROTOCOL = "2026-07-28"  # where every request says who asks
_CLIENT = {"name": "safe-llm measure", "version": "0"}
_MAX_MESSAGE_BYTES = 16 * MiB
_TOOL_CALL = {"name": "add", "arguments": {"a": 2, "b": 3}}  # of our own server


def subjects() -> list[Subject]:
    """Return our own server, written with the SDK at hand; raise ``MissingExtra`` without one."""
    if importlib.util.find_spec("mcp") is None:
        raise MissingExtra(what="the MCP SDK", extra="", hint="pip install mcp")
    argv, env = worker_command("measured_mcp_server")
    sdk = f"mcp {version('mcp')}"  # what it logs is another thing in each
    return [
        _subject(
            MCP,
            level,
            f"log_level={level}, {sdk}",
            Command([*argv, level], env=env, unbuffered=None),
            call=_TOOL_CALL,
        )
        for level in VERBOSITIES[MCP]
    ]


def subject_of(argv: Sequence[str]) -> Subject:
    """Return somebody's server. It is only asked for its list of tools: a call might do harm."""
    # It is run as its owner's shell would run it, with whatever key it finds there.
    command = Command(argv, inherit_env=("*",), unbuffered=None)
    return _subject(_name_of(argv), AS_GIVEN, "", command, call=None)


def _name_of(argv: Sequence[str]) -> str:
    """Return the program's name, and that of the first thing that is no option: npx X, python X."""
    what = next((word for word in argv[1:] if not word.startswith("-")), "")
    return f"{Path(argv[0]).name} {Path(what).name}".strip()


def _subject(
    engine: str,
    verbosity: str,
    setting: str,
    command: Command,
    *,
    call: Mapping[str, Any] | None,
) -> Subject:
    return Subject(
        engine=engine,
        verbosity=verbosity,
        setting=setting,
        model="",
        logs=("stderr",),
        begin=partial(begin, command, call),
    )


@contextmanager
def begin(command: Command, call: Mapping[str, Any] | None) -> Iterator[Start[McpTalk]]:
    """Prepare a server."""
    yield Start(command, partial(McpTalk, call))


class McpTalk:
    """JSON-RPC over stdin and stdout, one message a line."""

    def __init__(self, call: Mapping[str, Any] | None, wire: Wire) -> None:
        self._request = ("tools/list", {}) if call is None else ("tools/call", call)
        self._wire = wire
        self._splitter = LineSplitter(_MAX_MESSAGE_BYTES)
        self._lines: deque[bytes] = deque()
        self._meta: Mapping[str, Any] = {}

    def wait_ready(self, until: float) -> None:
        """Say hello, in the older way first: it makes no server log a complaint."""
        answer = self._answer("initialize", _HELLO, 0, until)
        if "error" in answer:
            self._meta = {"_meta": _MODERN_META}
            self._refuse_error(self._answer("server/discover", self._meta, 0, until))
        else:
            self._send({"method": "notifications/initialized"})

    def ask(self, number: int, until: float) -> None:
        """Have the tool called, or the tools listed."""
        method, parameters = self._request
        self._refuse_error(self._answer(method, {**parameters, **self._meta}, number + 1, until))

    def _answer(
        self, method: str, parameters: Mapping[str, Any], number: int, until: float
    ) -> dict[str, Any]:
        self._send({"id": number, "method": method, "params": parameters})
        while True:
            message = self._next_message(until)
            if message.get("id") == number and "method" not in message:
                return message

    def _send(self, message: Mapping[str, Any]) -> None:
        self._wire.send(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def _next_message(self, until: float) -> dict[str, Any]:
        while not self._lines:
            received = self._splitter.feed(self._wire.receive(until))
            self._lines.extend(line.data for line in received)
        line = self._lines.popleft()
        try:
            message = json.loads(line)
        except ValueError:  # a server that prints into its own protocol
            return {}
        return message if isinstance(message, dict) else {}

    @staticmethod
    def _refuse_error(answer: Mapping[str, Any]) -> None:
        if "error" in answer:
            raise NoAnswer(f"it refused: {answer['error']}")


_HELLO = {"protocolVersion": _PROTOCOL, "capabilities": {}, "clientInfo": _CLIENT}
_MODERN_META = {
    "io.modelcontextprotocol/protocolVersion": _MODERN_PROTOCOL,
    "io.modelcontextprotocol/clientInfo": _CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}
