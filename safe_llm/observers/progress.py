"""Follows long jobs from their first event to their end. Draws nothing itself.

To appear in the right cell of a notebook it has to be called in the context of that cell
(``caller.py``); where and how it is shown is the business of ``surfaces.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safe_llm.events import Event, ProcessExited, ProcessReady, Progressed
from safe_llm.observers.surfaces import find_surface

if TYPE_CHECKING:
    from safe_llm.observers.surfaces import Surface


class ProgressObserver:
    """Follows ``Progressed`` events until a job is complete, its process is ready or has ended."""

    def __init__(self, surface: Surface | None = None) -> None:
        """Show on ``surface``, or on what ``find_surface`` finds now."""
        self._surface = surface or find_surface()
        self._open: dict[str, list[str]] = {}

    def __call__(self, event: Event) -> None:
        """Show ``event`` if it is about progress."""
        if self._surface is None:
            return
        if isinstance(event, Progressed):
            self._follow(event, self._surface)
        elif isinstance(event, ProcessReady):
            self._close(event.source, f"ready after {event.after:.3g} s", self._surface)
        elif isinstance(event, ProcessExited):
            self._close(event.source, f"ended: {event.status}", self._surface)

    def _follow(self, event: Progressed, surface: Surface) -> None:
        label = f"{event.source}: {event.what}"
        mine = self._open.setdefault(event.source, [])
        if label not in mine:
            mine.append(label)
            surface.start(label)
        if event.fraction is not None and event.fraction >= 1:
            mine.remove(label)
            if not mine:
                del self._open[event.source]
            surface.end(label, "done")
        else:
            surface.update(label, event.fraction)

    def _close(self, source: str, outcome: str, surface: Surface) -> None:
        for label in self._open.pop(source, []):
            surface.end(label, outcome)
