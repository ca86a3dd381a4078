"""Where a server of ours listens: a socket that only we can reach, or else a port and a key."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import struct
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safe_llm.errors import NoPrivateFolder, NotReady

if TYPE_CHECKING:
    from safe_llm.process.child import Child

_LONGEST_SOCKET_PATH = 107  # sun_path has 108 bytes, and the last one is NUL; unix(7)
_PREFIX = "safe-llm-"
_SOCKET_NAME = "s.sock"  # llama-server takes a host for a socket by this ending
_LONGEST_REST = len("/") + len(_PREFIX) + 8 + len("/") + len(_SOCKET_NAME)  # 8: see mkdtemp
_LOOPBACK = "127.0.0.1"


@dataclass(slots=True)
class Endpoint:
    """An address, the arguments that make a server listen there, and how to clean up."""

    base_url: str
    host_arguments: tuple[str, ...]
    socket_path: str | None = None
    api_key: str | None = None
    _folder: _Folder | None = None

    def clean_up(self) -> None:
        """Remove what is on disk."""
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder.path, ignore_errors=True)
            os.close(folder.lock)

    def check_listener(self, child: Child) -> None:
        """Raise ``NotReady`` when who listens on our socket is not our child.

        Blocks for nothing: to connect to a Unix socket takes no time. Tells nothing for a port,
        where the key has to do.
        """
        if self.socket_path is None or sys.platform != "linux":
            return
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            probe.connect(self.socket_path)
            raw = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, _, _ = struct.unpack("3i", raw)
        if not _belongs_to(pid, child.pid):
            raise NotReady(
                program=child.name,
                reason=f"process {pid}, which is not ours, listens on its socket",
                waited=0.0,
                last_words=child.last_words(),
            )


def open_endpoint(program: str, *, sockets: bool) -> Endpoint:
    """Return a fresh address: a Unix socket in a folder of mode 0700, else a loopback port.

    Raises ``NoPrivateFolder`` when no folder can be made. A path too long for a socket, as under a
    deep TMPDIR, is avoided by another folder, and at last by a port.
    """
    folder = _private_folder(program) if sockets else None
    if folder is not None:
        path = str(folder.path / _SOCKET_NAME)
        return Endpoint("http://engine", ("--host", path), path, None, folder)
    port, key = _free_port(), secrets.token_urlsafe(32)
    arguments = ("--host", _LOOPBACK, "--port", str(port))
    return Endpoint(f"http://{_LOOPBACK}:{port}", arguments, None, key)


@dataclass(slots=True)
class _Folder:
    """A folder with a lock that we hold for as long as we live: who can take it, may remove it."""

    path: Path
    lock: int


def _private_folder(program: str) -> _Folder | None:
    """Make the folder in the first place that gives a short path; None when all are too long."""
    refusals = []
    for base in _bases():
        if len(os.fsencode(base)) + _LONGEST_REST > _LONGEST_SOCKET_PATH:
            continue
        _remove_abandoned(Path(base))
        try:
            return _locked_folder(base)
        except OSError as error:
            refusals.append(f"{base}: {error.strerror}")
    if refusals:
        raise NoPrivateFolder(program=program, reason="; ".join(refusals))
    return None


def _bases() -> list[str]:
    try:
        usual = tempfile.gettempdir()
    except OSError:  # it tries to write, and found nothing writable
        usual = os.environ.get("TMPDIR", "")
    others = (os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp")  # noqa: S108  mkdtemp makes it 0700
    return [base for base in dict.fromkeys((usual, *others)) if base]


def _locked_folder(base: str) -> _Folder:
    """Make a folder and lock it; again, when somebody took it for abandoned in between."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        try:
            lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError:
            path.rmdir()
            raise
        if _try_lock(lock) and path.exists():
            return _Folder(path, lock)
        os.close(lock)


def _try_lock(descriptor: int) -> bool:
    """Take the lock; False when another one has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _remove_abandoned(base: Path) -> None:
    """Remove the folders of killed processes. A pid would not tell: containers share /tmp."""
    for folder in base.glob(f"{_PREFIX}*"):
        try:
            if folder.stat().st_uid != os.getuid():
                continue
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # its owner lives
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def _belongs_to(pid: int, leader: int) -> bool:
    try:
        return pid == leader or os.getsid(pid) == leader
    except ProcessLookupError:
        return False


def _free_port() -> int:
    """Return a port that was free a moment ago; whoever takes it first makes the start fail."""
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
