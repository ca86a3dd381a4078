"""What holds in every row of the fault matrix, whatever the row itself is about.

No child of ours sits in a pipe write for more than a second; the hub's heart beats; and when the
children are closed, nothing is left: no process, no zombie, no descriptor, no thread.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from safe_llm.diagnose.procfs import snapshot
from safe_llm.process.hub import hub
from tests.controls.standstill import PROC, Thread, blocked_write, stat_fields, threads_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK = 0.1  # seconds between two looks at the children
_LONGEST_WRITE = 1.0  # seconds that a child may sit in one write to a pipe of ours
_LONGEST_GAP = 10.0  # seconds between two beats of the hub: ten times what an idle machine allows
_CLOSING = 30.0  # seconds for children to be closed that the test has asked to stop
_SERVICE = ("safe-llm-", "asyncio_", "safe_llm", "ThreadPoolExecutor", "AnyIO")


@dataclass
class Watch:
    """Looks at the children while a row runs. ``lateness`` tells how late its own looks were."""

    stuck: list[str] = field(default_factory=list)
    lateness: float = 0.0

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._since: dict[Thread, float] = {}
        self._thread = threading.Thread(target=self._run, name="oracle", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        began = time.monotonic()
        while not self._over.wait(_LOOK):
            now = time.monotonic()
            self.lateness = max(self.lateness, now - began - _LOOK)
            self._look(now)
            began = time.monotonic()

    def _look(self, now: float) -> None:
        # A Thread is equal to an earlier look at it only if it has not run in between.
        running = [child.pid for child in hub().children if child.exit_status is None]
        writing = {one for one in threads_of(running) if blocked_write(one) is not None}
        self._since = {one: self._since.get(one, now) for one in writing}
        for one, since in self._since.items():
            if now - since > _LONGEST_WRITE:
                self.stuck.append(str(blocked_write(one)))


@dataclass(frozen=True)
class Belongings:
    """What this process has: compared before and after."""

    descriptors: dict[str, str]
    threads: frozenset[str]


def belongings() -> Belongings:
    """Take stock. Service threads of ours may come and go."""
    return Belongings(
        descriptors={one.name: _target(one) for one in Path("/proc/self/fd").iterdir()},
        threads=frozenset(
            one.name for one in threading.enumerate() if not one.name.startswith(_SERVICE)
        ),
    )


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:  # that of the listing itself
        return ""


def bearers_of(cookie_name: str) -> list[int]:
    """Return the living processes with this variable in their environment."""
    return [
        int(one.name)
        for one in PROC.iterdir()
        if one.name.isdecimal() and cookie_name.encode() + b"=" in _environ(one)
    ]


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def zombies_of(parent: int) -> list[int]:
    """Return the dead that their parent did not reap."""
    found = []
    for one in PROC.iterdir():
        fields = stat_fields(int(one.name)) if one.name.isdecimal() else None
        if fields is not None and fields[0] == "Z" and int(fields[1]) == parent:
            found.append(int(one.name))
    return found


def diagnosed(pid: int, phrase: str, bound: float = 10.0) -> str:
    """Wait until the diagnosis of ``pid`` contains ``phrase``; return it."""
    until = time.monotonic() + bound
    said = ""
    while phrase not in said:
        if time.monotonic() > until:
            raise TimeoutError(f"{pid} is not {phrase!r} but {said!r}")
        seen = snapshot(pid)
        said = "gone" if seen is None else seen.describe()
        time.sleep(0.01)
    return said


@contextmanager
def judged(*, gap_allowed: bool) -> Iterator[Watch]:
    """Run a row and judge what it left behind."""
    before = belongings()
    clock = hub().loop.clock
    clock._mark = clock._mark._replace(longest_gap=0.0)
    watch = Watch()
    try:
        yield watch
    finally:
        watch.end()
    assert watch.stuck == [], "a child of ours sat in a pipe write"
    gap = clock.longest_gap
    print(f"longest heartbeat gap {gap:.2f} s, own lateness {watch.lateness:.2f} s")
    # Our own lateness is the reference: on a machine without processors nobody's heart beats.
    assert gap_allowed or gap < _LONGEST_GAP + watch.lateness, "the hub did not turn"
    _judge_the_end(before)


def _judge_the_end(before: Belongings) -> None:
    left = [child for child in hub().children if not child.closed.wait(_CLOSING)]
    assert left == [], "children were left open"
    assert bearers_of(hub().cookie_name) == [], "processes were left behind"
    assert zombies_of(os.getpid()) == [], "the dead were not reaped"
    after = belongings()
    new = {fd: what for fd, what in after.descriptors.items() if fd not in before.descriptors}
    assert not {what for what in new.values() if what}, "descriptors were left open"
    assert after.threads <= before.threads, "threads were left running"
