"""How the end of a child is learnt, and what is known about it. Signals and reaps nothing else."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_REASONS: dict[int, str] = {
    signal.SIGKILL: "killed, by us, by somebody, or by the kernel for want of memory",
    signal.SIGSEGV: "crashed on invalid memory",
    signal.SIGABRT: "aborted itself",
    signal.SIGBUS: "crashed on a file that shrank or a device that failed",
    signal.SIGILL: "met an instruction that this processor does not have",
}


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a process ended. Both fields are None when somebody else reaped it."""

    code: int | None = None
    signal: int | None = None
    note: str = ""

    @property
    def returncode(self) -> int | None:
        """As ``subprocess``: the exit code, or minus the signal number."""
        return -self.signal if self.signal is not None else self.code

    def describe(self) -> str:
        """One phrase for a message."""
        if self.signal is not None:
            return self._describe_signal(self.signal)
        if self.code is None:
            return f"exit status unknown ({self.note})"
        return f"exited with status {self.code}"

    def _describe_signal(self, number: int) -> str:
        try:
            name = signal.Signals(number).name
        except ValueError:  # a real-time signal has no name
            name = f"signal {number}"
        reason = self.note or _REASONS.get(number, "")
        return f"ended by {name}" + (f" ({reason})" if reason else "")


REAPED_ELSEWHERE = ExitStatus(
    note="reaped elsewhere: SIGCHLD is ignored, or other code of this process called waitpid"
)
OUT_OF_MEMORY = "most likely by the kernel for want of memory: its OOM killer has struck meanwhile"
UNKILLABLE = ExitStatus(note="still there after SIGKILL; in an uninterruptible system call")


def from_wait_status(status: int) -> ExitStatus:
    """Translate what ``waitpid`` returned."""
    if os.WIFSIGNALED(status):
        return ExitStatus(signal=os.WTERMSIG(status))
    return ExitStatus(code=os.WEXITSTATUS(status))


def is_unreaped(pid: int) -> bool:
    """Whether ``pid`` is still our child, dead or alive, so that its number cannot be reused."""
    if sys.platform == "darwin":
        return True  # our waiter thread reaps, and forgets the child in the same breath
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def reap(pid: int) -> ExitStatus | None:
    """Reap without blocking; None while it runs."""
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return REAPED_ELSEWHERE
    return from_wait_status(status) if reaped == pid else None


def open_pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when ``pid`` ends, or None where there is none."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # an old kernel, a seccomp filter, or a child that is already reaped
        return None


def watch_by_thread(pid: int, report: Callable[[ExitStatus], None]) -> None:
    """Learn of the exit on a thread of its own, where there is no pidfd. Untested on macOS."""

    def wait() -> None:
        try:
            _, status = os.waitpid(pid, 0)
        except ChildProcessError:
            report(REAPED_ELSEWHERE)
        else:
            report(from_wait_status(status))

    threading.Thread(target=wait, name=f"safe-llm-wait-{pid}", daemon=True).start()
