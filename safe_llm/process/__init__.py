"""One child process, honestly owned. Moves bytes and never learns what they mean.

``spawn`` is the front of this layer: what to use instead of a hand-written ``subprocess.Popen``
or ``asyncio.create_subprocess_exec``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from safe_llm.errors import UnsupportedPlatform
from safe_llm.limits import NO_LIMITS, Limits, StopPolicy

if sys.platform == "win32":
    raise UnsupportedPlatform(
        platform=sys.platform,
        hint="run it inside WSL2: native Windows needs another hub, which is not written yet",
    )

from safe_llm.process.command import DEFAULT_ENV_ALLOW_LIST, Command
from safe_llm.process.hub import hub

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from safe_llm.events import Observer
    from safe_llm.process.child import Child
    from safe_llm.process.command import Unbuffered

__all__ = ["spawn"]


def spawn(
    argv: Sequence[str] | Command,
    *,
    env: Mapping[str, str] | None = None,
    inherit_env: Sequence[str] = DEFAULT_ENV_ALLOW_LIST,
    cwd: str | os.PathLike[str] | None = None,
    stdin: Literal["pipe", "null"] = "pipe",
    unbuffered: Unbuffered | None = "auto",
    limits: Limits = NO_LIMITS,
    stop: StopPolicy | None = None,
    name: str | None = None,
    observers: Sequence[Observer] = (),
) -> Child:
    r"""Start a child whose pipes can never fill, and which never outlives this process.

    From this call on both of its outputs are emptied by a thread that nothing of yours can block:
    not a busy event loop, not a handler that raises, not a consumer that left. What nobody takes
    is kept up to a bound, then dropped and counted. stdin is a queue that never blocks. ::

        with safe_llm.spawn(["some-server", "--verbose"]) as child:
            child.stdin.write(b"hello\n")
            print(next(child.stdout.lines(timeout=30)))

    :param argv: program and arguments (no shell), or a whole ``Command``, in which case
        ``env``, ``inherit_env``, ``cwd``, ``stdin`` and ``unbuffered`` are taken from it.
    :param env: variables in addition to what ``inherit_env`` lets through. Secrets belong here.
    :param limits: of these, L4 (``job``) and L5 (``flood_*``) are kept for a bare child; by
        default none is. Give ``Limits()`` for the defaults of the five layers.
    :param stop: how to stop it; by default close stdin, 2 s, SIGTERM, 10 s, SIGKILL.
    :param observers: called with an ``Event`` for its start, exit, limits and leaks, on a thread
        of theirs.
    :raises SpawnFailed: it cannot be started; nothing was left behind.
    :raises MisuseError: the arguments are not a command.
    :raises UnsupportedPlatform: on Windows.
    """
    command = (
        argv
        if isinstance(argv, Command)
        else Command(
            argv,
            env=env or {},
            inherit_env=inherit_env,
            cwd=cwd,
            stdin=stdin,
            unbuffered=unbuffered,
        )
    )
    child = hub().request_spawn(
        command, name=name, limits=limits, stop_policy=stop, observers=tuple(observers)
    )
    return child.wait_spawned()
