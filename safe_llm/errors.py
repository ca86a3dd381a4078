"""Every exception of safe_llm, and nothing else: fields first, the text is made from them.

::

    SafeLlmError
    ├── StartupFailed           the process never became useful
    │   ├── SpawnFailed           it could not even be started
    │   ├── ModelFileInvalid      the model file is missing, unreadable or no GGUF
    │   ├── NotALlamaServer       the program that was named is something else
    │   ├── NoPrivateFolder       there is no room for the socket of a server
    │   └── NotReady              it started and did not become ready
    ├── CallFailed              one call failed; the engine may be fine
    │   ├── CallTimeout           a limit of ours ended it (also a ``TimeoutError``)
    │   ├── EngineDied            the process ended while the call was in flight
    │   └── RemoteError           the engine answered with an error
    │       └── PromptTooLong       the prompt does not fit into the context
    ├── ProtocolViolation       the peer's fault: bytes that its protocol does not allow
    ├── MisuseError             the caller's fault: this call cannot work, now or ever
    ├── RestartLimitReached     it crashed too often to be started again
    ├── UnsupportedPlatform     this operating system is not served
    └── MissingExtra            an optional dependency is absent (also an ``ImportError``)

Every class survives ``repr`` and ``pickle``. ``str(error)`` is one paragraph of what happened,
with numbers, then the child's last words if there are any, then ``hint:`` and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_SHOWN_LAST_WORDS = 1_500  # a traceback and its cause; half a screen, not a log file


def _restore(kind: type[SafeLlmError], fields: dict[str, Any]) -> SafeLlmError:
    error = kind.__new__(kind)
    error.__dict__.update(fields)
    return error


def _seconds(value: float) -> str:
    return f"{value:.3g} s"


@dataclass(eq=False, kw_only=True)
class SafeLlmError(Exception):
    """Base of all errors raised by safe_llm.

    ``hint`` says what to do about it and is kept apart from what happened.
    """

    hint: str = ""

    def what_happened(self) -> str:
        """One paragraph made from the fields."""
        return type(self).__name__

    def __str__(self) -> str:
        parts = [self.what_happened()]
        words = str(getattr(self, "last_words", "")).strip()
        if words:
            shown = words[-_MAX_SHOWN_LAST_WORDS:]
            parts.append("last words of its stderr:\n    " + shown.replace("\n", "\n    "))
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n".join(parts)

    def __reduce__(
        self,
    ) -> tuple[Callable[..., SafeLlmError], tuple[type[SafeLlmError], dict[str, Any]]]:
        # The default calls cls(*args), which keyword-only fields make impossible.
        return _restore, (type(self), dict(self.__dict__))


@dataclass(eq=False, kw_only=True)
class StartupFailed(SafeLlmError):
    """A process that was wanted is not there, and no call has been lost."""

    program: str


@dataclass(eq=False, kw_only=True)
class SpawnFailed(StartupFailed):
    """The operating system refused to start the program; nothing was left behind."""

    reason: str
    errno: int | None = None

    def what_happened(self) -> str:
        """Which program, and why it could not be started."""
        return f"cannot start {self.program!r}: {self.reason}"


@dataclass(eq=False, kw_only=True)
class ModelFileInvalid(StartupFailed):
    """The model file cannot be used; no process was started for it."""

    path: str
    reason: str

    def what_happened(self) -> str:
        """Which file, and what is wrong with it."""
        return f"cannot use model file {self.path!r}: {self.reason}"


@dataclass(eq=False, kw_only=True)
class NotALlamaServer(StartupFailed):
    """The program that was named did not print what a llama-server prints as its help."""

    needed_flags: tuple[str, ...]
    exit_status: str = ""
    last_words: str = ""

    def what_happened(self) -> str:
        """Name the program and how it is known."""
        ended = f"; {self.exit_status}" if self.exit_status else ""
        return (
            f"{self.program} is no llama-server that works here: its --help does not list"
            f" {', '.join(self.needed_flags)}{ended}"
        )


@dataclass(eq=False, kw_only=True)
class NoPrivateFolder(StartupFailed):
    """No folder could be made for the socket: the disk is full, or nothing is writable."""

    reason: str

    def __post_init__(self) -> None:
        """Fill in what helps."""
        self.hint = self.hint or "make room, or point TMPDIR to a short, writable folder"

    def what_happened(self) -> str:
        """Where it was tried, and what the system said."""
        return f"no folder for the socket of {self.program}: {self.reason}"


@dataclass(eq=False, kw_only=True)
class NotReady(StartupFailed):
    """The program was started and did not become ready; it has been stopped."""

    reason: str
    waited: float
    exit_status: str = ""
    last_words: str = ""

    def what_happened(self) -> str:
        """How long it was waited for, and how it ended."""
        ended = f"; {self.exit_status}" if self.exit_status else ""
        waited = _seconds(self.waited)
        return f"{self.program} did not become ready in {waited}: {self.reason}{ended}"


@dataclass(eq=False, kw_only=True)
class CallFailed(SafeLlmError):
    """One call failed. Other calls, and later ones, are not affected by this error alone."""

    engine: str


@dataclass(eq=False, kw_only=True)
class CallTimeout(CallFailed, TimeoutError):
    """A limit ended the call and its work was cancelled; the process itself may be healthy.

    ``layer`` names the limit (``"L1 total"``, ``"L1 first_token"``, ``"L3 progress"``, …),
    ``limit`` and ``elapsed`` are seconds in which this process ran.
    """

    layer: str
    limit: float
    elapsed: float
    diagnosis: str = ""
    last_words: str = ""

    def what_happened(self) -> str:
        """Which layer, its limit, and what the process was seen doing."""
        seen = f"; {self.diagnosis}" if self.diagnosis else ""
        return (
            f"{self.engine}: call ended by {self.layer} after {_seconds(self.elapsed)}"
            f" (limit {_seconds(self.limit)}){seen}"
        )


@dataclass(eq=False, kw_only=True)
class EngineDied(CallFailed):
    """The process ended while the call was in flight; the supervisor may restart it."""

    exit_status: str
    reason: str = ""
    last_words: str = ""

    def what_happened(self) -> str:
        """How it ended, and who ended it."""
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.engine} died during the call: {self.exit_status}{why}"


@dataclass(eq=False, kw_only=True)
class RemoteError(CallFailed):
    """The engine is alive and answered that it will not do this."""

    message: str
    status: int | None = None

    def what_happened(self) -> str:
        """The engine's own words."""
        status = f" (status {self.status})" if self.status is not None else ""
        return f"{self.engine} refused the call{status}: {self.message}"


@dataclass(eq=False, kw_only=True)
class PromptTooLong(RemoteError):
    """The prompt has more tokens than the context can hold."""

    prompt_tokens: int
    context_tokens: int

    def what_happened(self) -> str:
        """By how many tokens the prompt is too long."""
        over = self.prompt_tokens - self.context_tokens
        return (
            f"{self.engine}: the prompt has {self.prompt_tokens} tokens and the context holds"
            f" {self.context_tokens}: {over} too many"
        )


@dataclass(eq=False, kw_only=True)
class ProtocolViolation(SafeLlmError):
    """The peer sent what its protocol does not allow, or more than a bound allows."""

    peer: str
    reason: str
    last_words: str = ""

    def what_happened(self) -> str:
        """Who sent what."""
        return f"{self.peer}: {self.reason}"


@dataclass(eq=False, kw_only=True)
class MisuseError(SafeLlmError):
    """The caller asked for something that cannot work; nothing was started or changed."""

    reason: str

    def what_happened(self) -> str:
        """What was asked for, and why it cannot be."""
        return self.reason


@dataclass(eq=False, kw_only=True)
class RestartLimitReached(SafeLlmError):
    """The process crashed more often than its restart policy allows."""

    program: str
    restarts: int
    window: float
    exit_status: str = ""
    last_words: str = ""

    def what_happened(self) -> str:
        """How many crashes in which time, and the last of them."""
        last = f"; the last one: {self.exit_status}" if self.exit_status else ""
        return (
            f"{self.program} was restarted {self.restarts} times in {_seconds(self.window)}"
            f" and crashed again{last}"
        )


@dataclass(eq=False, kw_only=True)
class UnsupportedPlatform(SafeLlmError):
    """This operating system is not served (yet)."""

    platform: str

    def what_happened(self) -> str:
        """Which platform this is."""
        return f"safe_llm cannot supervise processes on {self.platform!r}"


@dataclass(eq=False, kw_only=True)
class MissingExtra(SafeLlmError, ImportError):
    """An optional dependency is not installed; the hint is the exact line that installs it."""

    what: str
    extra: str

    def __post_init__(self) -> None:
        """Fill in the line that helps."""
        self.hint = self.hint or f"pip install 'safe-llm[{self.extra}]'"

    def what_happened(self) -> str:
        """What needs which extra."""
        return f"{self.what} is not installed"
