"""What a supervisor needs to know of the program that it keeps: the engine's side of the deal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from safe_llm.process.child import Child
    from safe_llm.process.command import Command


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

        Raises ``NotReady`` when it can be seen that this will never become true.
        """

    def loaded(self, child: Child) -> float | None:
        """How far its start has come, as a fraction of 1; None when that cannot be known."""

    async def is_alive(self, child: Child) -> bool:
        """Ask on the path on which the work is done, bounded; any reply is life."""

    async def busy_calls(self, child: Child) -> int | None:
        """How many calls it works on; None when it does not answer."""

    def level_of(self, line: str) -> int:
        """The logging level of a line that it wrote."""
