"""Waits until a started process is ready for work. The rule is the program's, the pace is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from safe_llm.events import Progressed
from safe_llm.observers.dispatcher import dispatcher

if TYPE_CHECKING:
    from safe_llm.process.child import Child
    from safe_llm.supervise.program import Program

_FIRST_PAUSE = 0.01  # a tiny model is ready in 60 ms
_LONGEST_PAUSE = 0.25  # nobody notices a quarter of a second in a load of minutes
_FACTOR = 1.5


async def wait_ready(program: Program, child: Child) -> None:
    """Ask until it is ready, more and more slowly, and tell the observers how far it is.

    Bounded by whoever waits for this.
    """
    pause = _FIRST_PAUSE
    while not await program.is_ready(child):
        _tell(child, program.loaded(child))
        await anyio.sleep(pause)
        pause = min(pause * _FACTOR, _LONGEST_PAUSE)
    _tell(child, 1.0)


def _tell(child: Child, fraction: float | None) -> None:
    progress = Progressed(source=child.name, pid=child.pid, what="loading", fraction=fraction)
    dispatcher().post(progress, child.observers)
