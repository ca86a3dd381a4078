"""Our end of the orphan watchdog: starts it, keeps it informed, lets it go. Runs on the hub.

The watchdog is a child like any other, its stdin being the death pipe; but it carries no cookie,
nothing stops it when its thread ends, and nobody sees it among the children.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from safe_llm.errors import SpawnFailed
from safe_llm.limits import NO_LIMITS, StopPolicy, StopStep
from safe_llm.process import orphans
from safe_llm.process.child import Child
from safe_llm.process.command import Command
from safe_llm.process.launch import launch
from safe_llm.process.lifecycle import Lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from safe_llm.process.hub import Hub

_STOP = StopPolicy(steps=(StopStep(9, 1.0),), sweep="none")


class OrphanWatchdog:
    """The process that kills what we leave behind if we are killed."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.child: Child | None = None
        self.failure = ""
        self._life: Lifecycle | None = None

    def ensure(self, records: Iterable[bytes]) -> None:
        """Start it where there is none, or none any more, and tell it all it has to know.

        A watchdog that cannot be started keeps no child from being: ``failure`` says so.
        """
        alive = self.child is not None and self.child.exit_status is None
        if alive or not orphans.protection().watchdog:
            return
        try:
            self._start()
        except SpawnFailed as error:  # a program that dropped its rights may not reach its python
            self.failure = str(error)
            return
        self.failure = ""
        for line in records:
            self.tell(line)

    def _start(self) -> None:
        argv = orphans.watchdog_argv(self._hub.owner, self._hub.cookie_name)
        child = Child(
            self._hub,
            Command(argv, unbuffered=None),
            name="orphan-watchdog",
            limits=NO_LIMITS,
            stop_policy=_STOP,
        )
        launched = launch(child.command, argv[0], child.command.environment(os.environ), ())
        self._life = Lifecycle(self._hub, child, launched)
        self.child = child

    def tell(self, line: bytes) -> None:
        """Pass on one record. Never blocks: what the pipe does not take is queued."""
        if self.child is None or self._life is None or self.child.exit_status is not None:
            return
        try:
            self.child.stdin.write(line)
        except BrokenPipeError:  # it was killed: the next spawn starts another
            return
        self._life.pump_input()

    def dismiss(self) -> None:
        """Tell it that this is an orderly end."""
        self.tell(orphans.BYE)
        if self.child is not None and self._life is not None:
            self.child.stdin.close()
            self._life.pump_input()
