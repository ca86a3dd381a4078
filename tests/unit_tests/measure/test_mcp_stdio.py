"""The conversation with an MCP server, on scripted answers: no process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.measure.mcp_stdio import McpTalk, subject_of, subjects
from safe_llm.measure.subject import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULT: dict[str, Any] = {"result": {}}
ERROR: dict[str, Any] = {"error": {"code": -32601, "message": "unknown method"}}


class ScriptedWire:
    """Answers each request with the next of the answers; ``before`` comes before each."""

    has_ended = False

    def __init__(self, answers: Sequence[dict[str, Any]], before: bytes = b"") -> None:
        self.sent: list[dict[str, Any]] = []
        self._answers = iter(answers)
        self._before = before
        self._waiting = b""

    def send(self, data: bytes) -> None:
        message = json.loads(data)
        self.sent.append(message)
        if "id" in message:
            answer = {"jsonrpc": "2.0", "id": message["id"], **next(self._answers)}
            self._waiting += self._before + json.dumps(answer).encode() + b"\n"

    def receive(self, until: float) -> bytes:
        if not self._waiting:
            raise NoAnswer("it did not answer")
        piece, self._waiting = self._waiting[:7], self._waiting[7:]
        return piece

    @property
    def methods(self) -> list[str]:
        return [message["method"] for message in self.sent]


def test_a_server_is_greeted_and_then_asked_for_its_tools() -> None:
    wire = ScriptedWire([RESULT, RESULT])
    talk = McpTalk(None, wire)
    talk.wait_ready(0)
    talk.ask(0, 0)
    assert wire.methods == ["initialize", "notifications/initialized", "tools/list"]
    assert "_meta" not in wire.sent[-1]["params"]


def test_a_server_that_knows_no_initialize_is_asked_in_the_modern_way() -> None:
    wire = ScriptedWire([ERROR, RESULT, RESULT])
    talk = McpTalk(None, wire)
    talk.wait_ready(0)
    talk.ask(0, 0)
    assert wire.methods == ["initialize", "server/discover", "tools/list"]
    assert "_meta" in wire.sent[-1]["params"]


def test_a_tool_is_called_where_there_is_one_to_call() -> None:
    wire = ScriptedWire([RESULT, RESULT])
    talk = McpTalk({"name": "add", "arguments": {"a": 2, "b": 3}}, wire)
    talk.wait_ready(0)
    talk.ask(0, 0)
    assert wire.methods[-1] == "tools/call"
    assert wire.sent[-1]["params"] == {"name": "add", "arguments": {"a": 2, "b": 3}}


def test_a_refusal_is_told_in_the_servers_words() -> None:
    talk = McpTalk(None, ScriptedWire([RESULT, ERROR]))
    talk.wait_ready(0)
    with pytest.raises(NoAnswer, match=r"it refused: .*unknown method"):
        talk.ask(0, 0)


@pytest.mark.parametrize(
    "noise",
    [
        b"printed into the protocol\n",
        b"[1]\n\n",
        b'{"jsonrpc": "2.0", "id": 0, "method": "roots/list"}\n',
        b'{"jsonrpc": "2.0", "id": 99, "result": {}}\n',
        b"\xff\xfe\n",
    ],
)
def test_what_is_no_answer_to_the_request_is_passed_over(noise: bytes) -> None:
    wire = ScriptedWire([ERROR, RESULT, RESULT], before=noise)
    talk = McpTalk(None, wire)
    talk.wait_ready(0)
    talk.ask(0, 0)
    assert wire.methods == ["initialize", "server/discover", "tools/list"]


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/usr/bin/true"], "true"),
        (["npx", "-y", "@scope/server-git"], "npx server-git"),
        (["python", "-m", "mcp_server_time"], "python mcp_server_time"),
        (["node", "/opt/dist/index.js", "--verbose"], "node index.js"),
        (["server", "--quiet"], "server"),
    ],
)
def test_somebodys_server_is_called_by_its_program_and_what_that_runs(
    argv: list[str], name: str
) -> None:
    subject = subject_of(argv)
    assert (subject.engine, subject.verbosity, subject.logs) == (name, "as given", ("stderr",))


def test_somebodys_server_is_given_the_whole_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with subject_of(["server"]).begin() as start:
        assert start.command.environment({"MY_TOKEN": "t"})["MY_TOKEN"] == "t"


def test_our_own_server_says_with_which_sdk_it_was_measured() -> None:
    info, debug = subjects()
    assert info.setting.startswith("log_level=INFO, mcp ")
    assert (info.verbosity, debug.verbosity) == ("INFO", "DEBUG")
