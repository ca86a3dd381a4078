"""From a command to a running process and our ends of its pipes. Watches nothing afterwards.

Runs on the hub: the parent-death signal fires when the spawning *thread* ends (prctl(2),
PR_SET_PDEATHSIG), so that thread has to live as long as we do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import tty
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safe_llm.errors import SpawnFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from safe_llm.process.command import Command

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_HINTS = {
    errno.EMFILE: "raise the limit of open files (`ulimit -n`); a child needs four descriptors",
    errno.ENFILE: "the whole system is out of file descriptors (fs.file-max)",
    errno.ENOMEM: "no memory for another process: stop an engine, or add swap",
    errno.EAGAIN: "the limit of processes is reached (`ulimit -u`, or the cgroup's pids.max)",
    errno.E2BIG: "argv and environment together are too long; pass large input through stdin",
    errno.ENOEXEC: "not a program for this processor, or a script without a `#!` line",
}


@dataclass(frozen=True, slots=True)
class Launched:
    """A process and our ends of its pipes; ``stdin`` and ``replies`` are -1 where there is none."""

    pid: int
    stdin: int
    stdout: int
    stderr: int
    replies: int = -1

    @property
    def descriptors(self) -> list[int]:
        """Our ends."""
        return [fd for fd in (self.stdin, self.stdout, self.stderr, self.replies) if fd >= 0]


def discard(launched: Launched) -> None:
    """Take a launch back: close our ends and kill its group; reaping is left to the caller."""
    for fd in launched.descriptors:
        os.close(fd)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(launched.pid, signal.SIGKILL)


def launch(command: Command, path: str, env: Mapping[str, str], prefix: Sequence[str]) -> Launched:
    """Start ``path`` in a session of its own, all three descriptors in our hands.

    Raises ``SpawnFailed`` with nothing left behind: no process, no descriptor.
    """
    argv = [*prefix, *_flushing(command), path, *command.argv[1:]]
    try:
        return _launch(command, argv, env)
    except OSError as error:
        if error.errno in _OUT_OF_DESCRIPTORS and _raise_descriptor_limit():
            return launch(command, path, env, prefix)
        raise SpawnFailed(
            program=command.argv[0],
            reason=f"{error.strerror} ({errno.errorcode.get(error.errno or 0, error.errno)})",
            errno=error.errno,
            hint=_HINTS.get(error.errno or 0, ""),
        ) from error


def _flushing(command: Command) -> tuple[str, ...]:
    return ("stdbuf", "-oL", "-eL") if command.unbuffered == "stdbuf" else ()


def _launch(command: Command, argv: list[str], env: Mapping[str, str]) -> Launched:
    with ExitStack() as ours, ExitStack() as theirs:
        stdin_theirs, stdin = subprocess.DEVNULL, -1
        if command.stdin == "pipe":
            stdin_theirs, stdin = _pipe(read_end=theirs, write_end=ours)
        if command.unbuffered == "pty":
            stdout, stdout_theirs = _terminal(ours, theirs)
        else:
            stdout, stdout_theirs = _pipe(read_end=ours, write_end=theirs)
        stderr, stderr_theirs = _pipe(read_end=ours, write_end=theirs)
        replies, replies_theirs = -1, -1
        if command.replies is not None:
            replies, replies_theirs = _pipe(read_end=ours, write_end=theirs)
            env = {**env, command.replies: str(replies_theirs)}
        # preexec_fn would forbid vfork: 55 ms a spawn with 2 GiB in use, and rare deadlocks.
        process = subprocess.Popen(
            argv,
            stdin=stdin_theirs,
            stdout=stdout_theirs,
            stderr=stderr_theirs,
            cwd=command.cwd,
            env=dict(env),
            pass_fds=() if replies < 0 else (replies_theirs,),
            start_new_session=True,
        )
        process.returncode = 0  # or its finalizer would reap the child behind the hub's back
        launched = Launched(process.pid, stdin, stdout, stderr, replies)
        for fd in launched.descriptors:
            os.set_blocking(fd, False)  # our ends only: no other process has them
        ours.pop_all()
    return launched


def _pipe(*, read_end: ExitStack, write_end: ExitStack) -> tuple[int, int]:
    reader, writer = os.pipe()
    read_end.callback(os.close, reader)
    write_end.callback(os.close, writer)
    return reader, writer


def _terminal(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    master, slave = os.openpty()
    ours.callback(os.close, master)
    theirs.callback(os.close, slave)
    tty.setraw(slave)  # or every \n arrives as \r\n
    return master, slave


def _raise_descriptor_limit() -> bool:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= hard:
        return False
    with contextlib.suppress(ValueError, OSError):  # macOS reports an infinity that it refuses
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return True
    return False
