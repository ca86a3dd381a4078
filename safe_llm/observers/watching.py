"""Who is told what an engine says and does, where the user asked for nobody: log and progress.

One of each for the whole process: engines are shared, and so is the place where a call stands.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from safe_llm.observers.caller import InCallerContext
from safe_llm.observers.logs import LogObserver
from safe_llm.observers.progress import ProgressObserver

if TYPE_CHECKING:
    from safe_llm.events import Observer


@cache
def _shown() -> tuple[InCallerContext, ...]:
    return InCallerContext(LogObserver()), InCallerContext(ProgressObserver())


def watchers(*, verbose: bool) -> tuple[Observer, ...]:
    """Return the observers that ``verbose`` stands for; whether pipes are drained is not theirs."""
    return _shown() if verbose else ()


def follow_the_caller(*, verbose: bool) -> None:
    """Have what is shown from now on appear where this call stands: in this notebook cell."""
    if verbose:
        for observer in _shown():
            observer.move_here()
