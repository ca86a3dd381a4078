"""Ends whatever a test left behind, found by a cookie in its environment. Touches nobody else."""

from __future__ import annotations

import os
import signal
import time
import uuid

from tests.controls.standstill import PROC

COOKIE = "SAFE_LLM_TEST_COOKIE"
_BOUND = 5.0  # seconds; SIGKILL takes milliseconds, unless the machine is very busy


def new_cookie() -> dict[str, str]:
    """Return the variable to add to an environment, so that its bearers can be found."""
    return {COOKIE: uuid.uuid4().hex}


def bearers(cookie: dict[str, str]) -> list[int]:
    """Return the living processes that bear this cookie; a zombie has no environment any more."""
    return [
        int(one.name) for one in PROC.iterdir() if one.name.isdecimal() and _bears(one.name, cookie)
    ]


def _bears(pid: str, cookie: dict[str, str]) -> bool:
    try:
        environment = (PROC / pid / "environ").read_bytes()
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return False
    return f"{COOKIE}={cookie[COOKIE]}".encode() in environment.split(b"\0")


def sweep(cookie: dict[str, str]) -> list[int]:
    """Kill all bearers, also those that fork meanwhile; return who had to be killed.

    Raises ``TimeoutError`` with the pids that are alive after five seconds.
    """
    killed: list[int] = []
    deadline = time.monotonic() + _BOUND
    while found := bearers(cookie):
        if time.monotonic() > deadline:
            raise TimeoutError(f"still alive after {_BOUND} s of SIGKILL: {found}")
        killed.extend(pid for pid in found if _kill(pid, cookie) and pid not in killed)
    return killed


def _kill(pid: int, cookie: dict[str, str]) -> bool:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # Looked at again under the pidfd: since the first look the number may have a new owner.
        if not _bears(str(pid), cookie):
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True
