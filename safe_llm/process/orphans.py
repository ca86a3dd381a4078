"""What protects against orphans, and the sweep after one child. Starts no watchdog itself.

The hub marks each child with a cookie in its environment, one variable a hub, so that hubs inside
hubs add up. What is ours is decided in ``worker/descent.py`` and killed in ``worker/sweep.py``,
by us while we live and by the orphan watchdog afterwards.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from safe_llm.errors import MisuseError
from safe_llm.worker import records
from safe_llm.worker.descent import Match, Victim
from safe_llm.worker.records import BYE, Record, forget_line
from safe_llm.worker.sweep import DEFAULT_TIMEOUT, kill_matching, start_ticks

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BYE",
    "Match",
    "OrphanProtection",
    "Record",
    "Victim",
    "cookie_name",
    "forget_line",
    "inherited_cookies",
    "launcher_prefix",
    "protection",
    "record_line",
    "start_ticks",
    "sweep",
    "watchdog_argv",
]

_COOKIE = "SAFE_LLM_COOKIE_"
_PROBE_TIMEOUT = 10.0  # seconds; it takes two milliseconds unless the machine is in trouble
_PROBE_ANSWER = b"supported"


@dataclass(frozen=True, slots=True)
class OrphanProtection:
    """Which mechanisms end our children when this process is killed."""

    watchdog: bool
    pdeathsig: bool

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Names of what is in use, ``("none",)`` when nothing is."""
        used = {"watchdog": self.watchdog, "pdeathsig": self.pdeathsig}
        return tuple(name for name, is_used in used.items() if is_used) or ("none",)

    def describe(self) -> str:
        """Say what is in use, and what is out of reach."""
        parts = []
        if self.watchdog and sys.platform == "linux":
            parts.append(
                "a watchdog process kills all descendants when this process dies (except in"
                " containers, programs of other users, and while they hang in the kernel)"
            )
        elif self.watchdog:
            parts.append(
                "a watchdog process kills the children's process groups when this process dies;"
                " descendants that left their group are out of reach, for want of /proc"
            )
        if self.pdeathsig:
            parts.append("the kernel kills each direct child when this process dies")
        return "; ".join(parts) or "nothing ends the children when this process is killed"


def protection() -> OrphanProtection:
    """Return what protects the children of this process.

    The first time it runs a program, as ``launcher_prefix`` does: not for the hub's thread.
    """
    return OrphanProtection(watchdog=bool(_interpreter()), pdeathsig=bool(launcher_prefix()))


def cookie_name(hub_id: str) -> str:
    """Return the environment variable that marks the children of one hub."""
    return _COOKIE + hub_id


def inherited_cookies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the marks of the hubs above ours, which every child of ours carries on."""
    return {name: value for name, value in environment.items() if name.startswith(_COOKIE)}


def record_line(sid: int, pid: int, start_ticks: int, value: str) -> bytes:
    """Return the line that tells the watchdog of a child."""
    return records.record_line(Record(sid, pid, start_ticks, value))


def watchdog_argv(parent_pid: int, cookie: str) -> list[str]:
    """Return the command of the watchdog for a living parent.

    Start it with the death pipe as stdin, in its own session, and without our cookies in its
    environment. Raises ``MisuseError`` when there is no Python interpreter to run it.
    """
    interpreter = _interpreter()
    if not interpreter:
        raise MisuseError(
            reason=f"no Python interpreter to run the orphan watchdog: {sys.executable!r} is none",
            hint="put a python3 on PATH",
        )
    program = Path(__file__).parents[1] / "worker" / "orphan_watchdog.py"
    start = start_ticks(parent_pid) or 0
    options = ["--parent", str(parent_pid), "--parent-start", str(start), "--cookie", cookie]
    return [interpreter, "-I", "-S", str(program), *options]


def _interpreter() -> str:
    # Where Python is embedded (uWSGI, a frozen program), `sys.executable` is the embedding
    # program: to start that would be to start ourselves again.
    is_python = Path(sys.executable or "").name.startswith(("python", "pypy"))
    return sys.executable if is_python else (shutil.which("python3") or "")


def launcher_prefix() -> tuple[str, ...]:
    """Return what to put before an argv so that the kernel kills the child with its parent.

    Empty where ``setpriv`` does not exist or does not know how (BusyBox). The signal comes when
    the *thread* that spawned the child ends. Runs a program the first time, which is bounded, but
    nothing for the hub's thread.
    """
    try:
        return _probed_prefix()
    except OSError:  # no descriptor or no process to ask with: that is no answer, and not kept
        return ()


@cache
def _probed_prefix() -> tuple[str, ...]:
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        return ()
    prefix = (setpriv, "--pdeathsig", "KILL", "--")
    return prefix if _answers([*prefix, "echo", _PROBE_ANSWER.decode()]) else ()


def _answers(argv: list[str]) -> bool:
    """Whether the program runs. Its output tells, since a status can be reaped by somebody else."""
    probe = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for _ in range(2):  # a second time to reap it
        try:
            output, _ = probe.communicate(timeout=_PROBE_TIMEOUT)
        except subprocess.TimeoutExpired:
            probe.kill()
        else:
            return bool(output.strip() == _PROBE_ANSWER)
    return False


def sweep(
    cookie: str,
    children: Mapping[str, tuple[int, int]],
    *,
    protect: frozenset[int] = frozenset(),
    timeout: float = DEFAULT_TIMEOUT,
) -> list[Victim]:
    """Kill what dead children left behind; one scan serves many of them.

    ``children`` maps a child's cookie value to its session id and start time in ticks; each
    victim says whose it is in ``Victim.cookie``. Blocks for up to ``timeout`` seconds and can
    hang behind a process that hangs in the kernel: not for the hub's thread. Never touches this
    process nor one of ``protect``. Without ``/proc`` (macOS) it finds nobody.
    """
    if sys.platform != "linux":
        return []
    left_by = frozenset(Record(sid, sid, start, value) for value, (sid, start) in children.items())
    since = min((record.start_ticks for record in left_by), default=0)
    match = Match(cookie, frozenset(children), left_by, since)
    return kill_matching(match, protect=protect, timeout=timeout)
