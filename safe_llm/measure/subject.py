"""What can be measured: an engine at one verbosity, how it is started and how it is asked.

The words that the others share, and no engine: those are in modules of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

from safe_llm.engines.spec import LlamaCppPythonSpec, LlamaServerSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from safe_llm.process.command import Command

LLAMA_SERVER, LLAMA_CPP, MCP = LlamaServerSpec.kind, LlamaCppPythonSpec.kind, "mcp"

VERBOSITIES: Mapping[str, tuple[str, ...]] = {
    LLAMA_SERVER: ("default", "4", "debug", "off"),
    LLAMA_CPP: ("on", "off"),
    MCP: ("INFO", "DEBUG"),
}
"""Every engine, and the verbosities at which it can be measured."""

StreamName = Literal["stdout", "stderr"]
STREAMS: tuple[StreamName, ...] = ("stdout", "stderr")


class NoAnswer(Exception):
    """The engine did not answer, ended, or said no. The text says which, in a few words."""


class Wire(Protocol):
    """A running process, and the pipes that carry its protocol where it speaks over pipes."""

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""

    def send(self, data: bytes) -> None:
        """Write to its stdin. Raises ``NoAnswer`` when nobody reads there any more."""

    def receive(self, until: float) -> bytes:
        """Return what the protocol brought. Raises ``NoAnswer`` at its end, and after ``until``."""


class Talk(Protocol):
    """The conversation with one process. ``until`` are moments of ``time.monotonic()``."""

    def wait_ready(self, until: float) -> None:
        """Return when it can be asked; raise ``NoAnswer`` when it cannot be until then."""

    def ask(self, number: int, until: float) -> None:
        """Have the ``number``-th request answered; raise ``NoAnswer`` when it is not."""


AnyTalk_co = TypeVar("AnyTalk_co", bound=Talk, covariant=True)


@dataclass(frozen=True, slots=True)
class Start(Generic[AnyTalk_co]):
    """One start of an engine: what to run, and how to talk to what runs then."""

    command: Command
    connect: Callable[[Wire], AnyTalk_co]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """An engine at one verbosity, with one model; ``model`` is empty where there is none.

    ``setting`` is how the verbosity is said to the engine.
    """

    engine: str
    verbosity: str
    setting: str
    model: str

    @property
    def name(self) -> str:
        """What messages call it."""
        return " ".join(filter(None, (self.engine, self.verbosity, self.model)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(Label):
    """What is measured under its label.

    ``logs`` are the streams that carry its log; one that carries its protocol is none of them.
    ``begin`` prepares one start, and what it made on disk is gone after its block.
    """

    logs: tuple[StreamName, ...]
    begin: Callable[[], AbstractContextManager[Start[Talk]]]
