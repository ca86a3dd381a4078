"""What a supervisor needs to know of the program that it keeps: the engine's side of the deal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from safe_llm.process.child import Child
    from safe_llm.process.command import Command


@dataclass(frozen=True, slots=True)
class Busy:
    """How many calls a program works on, and for how many it can do nothing but go on.

    ``uninterruptible`` are those whose prompt is being evaluated: they end when that has ended.
    """

    calls: int
    uninterruptible: int = 0


class Program(Protocol):
    """How a program is started, asked and understood. All of it runs on the portal."""

    @property
    def name(self) -> str:
        """What messages call it."""

    async def prepare(self) -> Command:
        """Make the surroundings of one start and return its command; raise ``StartupFailed``."""

    async def clean_up(self) -> None:
        """Give up what ``prepare`` made; the process is gone. Called once for each ``prepare``."""

    async def is_ready(self, child: Child) -> bool:
        """Ask once, bounded; False when it does not answer yet.

        Raises ``StartupFailed`` when it can be seen that this will never become true.
        """

    def loaded(self, child: Child) -> float | None:
        """How far its start has come, as a fraction of 1; None when that cannot be known."""

    async def is_alive(self, child: Child) -> bool:
        """Ask on the path on which the work is done, bounded; any reply is life."""

    async def busy(self, child: Child) -> Busy | None:
        """What it works on; None when it does not answer."""

    def level_of(self, line: str) -> int:
        """The logging level of a line that it wrote."""
