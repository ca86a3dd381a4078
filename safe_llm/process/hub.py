"""The hub: one thread that owns every pipe end, every exit, every spawn of this process.

``hub()`` gives the one of this process. It refuses to know what the bytes mean, and it refuses to
wait for anybody: what users, sinks, loops and forks do cannot keep a pipe from being emptied.
"""

from __future__ import annotations

import atexit
import os
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from safe_llm.errors import MisuseError, SpawnFailed
from safe_llm.limits import NO_LIMITS, Limits, StopPolicy
from safe_llm.observers.dispatcher import dispatcher
from safe_llm.process import exits, orphans
from safe_llm.process.child import Child
from safe_llm.process.forking import ForkGate
from safe_llm.process.launch import discard, launch
from safe_llm.process.lifecycle import Lifecycle
from safe_llm.process.loop import Loop
from safe_llm.process.sweeper import Sweeper
from safe_llm.process.waking import Signal, forget_service_threads
from safe_llm.process.watchdog import OrphanWatchdog

if TYPE_CHECKING:
    from safe_llm.events import Event, Observer
    from safe_llm.process.command import Command
    from safe_llm.process.launch import Launched

_REAP_AFTER = 1.0  # seconds from a SIGKILL until its victim is a zombie for sure
_EXIT_SLACK = 5.0  # at interpreter exit, on top of the longest stop policy


@dataclass(frozen=True, slots=True)
class HubStatistics:
    """The hub at one moment. ``heartbeat_gap`` and ``heartbeat_age`` in seconds."""

    children: int
    turns: int
    heartbeat_gap: float
    heartbeat_age: float
    orphan_protection: str
    errors: tuple[str, ...]


class Hub:
    """Spawns children and keeps their pipes empty, on one daemon thread."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.loop = Loop("safe-llm-hub")
        self.cookie_name = orphans.cookie_name(secrets.token_hex(8))
        self.sweeper = Sweeper(self.cookie_name)
        self._lives: dict[Child, Lifecycle] = {}
        self._watchdog = OrphanWatchdog(self)
        self._closing = False
        self.loop.start()

    # -- for everybody

    def request_spawn(
        self,
        command: Command,
        *,
        name: str | None = None,
        limits: Limits = NO_LIMITS,
        stop_policy: StopPolicy | None = None,
        observers: tuple[Observer, ...] = (),
    ) -> Child:
        """Check the command and have it spawned soon; wait with ``child.wait_spawned()``.

        Raises ``SpawnFailed`` for what can be seen before anything is started.
        """
        self._refuse_late()
        child = Child(
            self,
            command,
            name=name or command.name,
            limits=limits,
            stop_policy=stop_policy or StopPolicy(),
            observers=observers,
        )
        ours = dict(os.environ)  # once: it encodes and decodes at each look
        env = command.environment(ours)
        path = command.resolve(env)
        env |= orphans.inherited_cookies(ours)
        if child.stop_policy.sweep != "none":  # else what it leaves behind on purpose would be ours
            env[self.cookie_name] = child.cookie
        prefix = orphans.launcher_prefix()
        self.loop.post(partial(self._spawn, child, path, env, prefix))
        return child

    def stop(self, child: Child, policy: StopPolicy, reason: str) -> None:
        """Begin to stop a child. Never blocks."""
        self.loop.post(partial(self._stop, child, policy, reason))

    def signal(self, child: Child, number: int) -> None:
        """Signal a child's group, unless it has ended. Never blocks."""
        self.loop.post(partial(self._signal, child, number))

    def pump_input(self, child: Child) -> None:
        """Have what waits for a child's stdin written. Never blocks."""
        self.loop.post(partial(self._pump_input, child))

    @property
    def children(self) -> tuple[Child, ...]:
        """All children that are not closed yet, oldest first."""
        return tuple(self._lives.copy())

    def statistics(self) -> HubStatistics:
        """Return an immutable snapshot."""
        return HubStatistics(
            children=len(self._lives),
            turns=self.loop.turns,
            heartbeat_gap=self.loop.clock.longest_gap,
            heartbeat_age=self.loop.clock.age if self._lives else 0.0,
            orphan_protection=self._watchdog.failure or orphans.protection().describe(),
            errors=tuple(self.loop.errors),
        )

    def shutdown(self) -> None:
        """Stop all children in parallel, each by its own policy, and wait until nothing is left."""
        if os.getpid() != self.owner:
            return
        asked = Signal()  # what has been asked for before is spawned first
        self.loop.post(asked.set)
        asked.wait(_EXIT_SLACK)
        children = self.children
        for child in children:
            child.begin_stop(reason="shutdown")
        longest = max((child.stop_policy.longest for child in children), default=0.0)
        until = time.monotonic() + longest + _EXIT_SLACK
        for child in children:
            child.closed.wait(until - time.monotonic())
        watchdog = self._watchdog.child
        if watchdog is not None:
            self.loop.post(self._watchdog.dismiss)
            watchdog.exited.wait(_EXIT_SLACK)

    def close_at_exit(self) -> None:
        """Refuse new children, then stop all: the interpreter is about to be gone."""
        if os.getpid() == self.owner:
            self._closing = True
            self.shutdown()

    # -- on the hub's thread

    def emit(self, child: Child, event: Event) -> None:
        """Tell the child's observers, who run elsewhere."""
        dispatcher().post(event, child.observers)

    def forget(self, child: Child) -> None:
        """A child is closed: nothing of it is left."""
        self._lives.pop(child, None)
        self._watchdog.tell(orphans.forget_line(child.cookie))

    def _refuse_late(self) -> None:
        if self._closing:
            raise MisuseError(reason="the interpreter is exiting: nothing is started any more")

    def _spawn(self, child: Child, path: str, env: dict[str, str], prefix: tuple[str, ...]) -> None:
        try:
            self._refuse_late()
            with _fork_gate.spawning():
                self._watchdog.ensure(life.record for life in self._lives.values())
                launched = launch(child.command, path, env, prefix)
                life = self._take_on(child, launched)
        except SpawnFailed as error:
            child.spawn_error = error
        except Exception as error:
            child.spawn_error = SpawnFailed(program=child.argv[0], reason=repr(error))
        else:
            self._lives[child] = life
            self._watchdog.tell(life.record)
        child.spawned.set()

    def _take_on(self, child: Child, launched: Launched) -> Lifecycle:
        try:
            return Lifecycle(self, child, launched)
        except Exception:
            self.loop.forget(launched.descriptors)
            discard(launched)
            self.loop.call_later(_REAP_AFTER, partial(exits.reap, launched.pid))
            raise

    def abandon_in_fork(self) -> None:
        """In a forked child: close the inherited ends, or their EOFs would wait for us."""
        self.loop.abandon_in_fork()
        for child in (*self._lives, self._watchdog.child):
            if child is not None and child.stdin.fd >= 0:
                with suppress(OSError):  # it was being watched, and is closed already
                    os.close(child.stdin.fd)
            if child is not None:
                child.disown(self.owner)

    def _stop(self, child: Child, policy: StopPolicy, reason: str) -> None:
        life = self._lives.get(child)
        if life is not None:
            life.stop(policy, reason)

    def _signal(self, child: Child, number: int) -> None:
        life = self._lives.get(child)
        if life is not None:
            life.signal_group(number)

    def _pump_input(self, child: Child) -> None:
        life = self._lives.get(child)
        if life is not None:
            life.pump_input()


_hub: Hub | None = None
_fork_gate = ForkGate()
_making = threading.RLock()  # re-entrant: a signal handler may ask while its thread is asking


def hub() -> Hub:
    """Return the hub of this process; a forked child gets an empty one of its own."""
    global _hub  # noqa: PLW0603  one per process is its nature
    with _making:
        if _hub is None or _hub.owner != os.getpid():
            _hub = Hub()
            atexit.register(_hub.close_at_exit)
        return _hub


def _forget_in_fork() -> None:
    global _hub, _making  # noqa: PLW0603  see above
    inherited, _hub = _hub, None
    _fork_gate.renew()
    _making = threading.RLock()  # the thread that held it was not copied
    forget_service_threads()
    if inherited is not None:
        inherited.abandon_in_fork()


os.register_at_fork(
    before=_fork_gate.before_fork,
    after_in_parent=_fork_gate.after_fork,
    after_in_child=_forget_in_fork,
)
