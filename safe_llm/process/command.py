"""What to start, as data, and the checks that can be made before anything is started.

They are made first because the launcher between us and the program (``setpriv``, ``stdbuf``)
turns every failure of ``execve`` into an exit status 127 with a text of its own.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import shutil
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from safe_llm.errors import MisuseError, SpawnFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Unbuffered = Literal["auto", "stdbuf", "pty"]

DEFAULT_ENV_ALLOW_LIST: tuple[str, ...] = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "LANG", "LC_*", "TMPDIR"),
    *("XDG_*", "SSL_CERT_*", "LD_LIBRARY_PATH", "DYLD_*", "VIRTUAL_ENV"),
    *("CUDA_*", "NVIDIA_*", "HIP_*", "ROCR_*", "HSA_*", "GGML_*", "OMP_*", "MKL_*", "OPENBLAS_*"),
)
"""What a child inherits: where things are and which devices to use, but no key and no token."""

_ELF = b"\x7fELF"
_SHEBANG_BYTES = 256  # BINPRM_BUF_SIZE of the kernel; see execve(2)


@dataclass(frozen=True, slots=True)
class Command:
    """A program, its arguments and its surroundings.

    ``env`` adds to what ``inherit_env`` (names and ``*`` patterns) lets through of ours; secrets
    belong there and never into ``argv``, which every user of the machine can read.
    ``stdin="null"`` gives the child an empty stdin instead of a pipe.
    ``replies`` gives it one more pipe to write into, and is the name of the environment variable
    that tells it the descriptor: a protocol of its own, into which no library can print.
    ``unbuffered``: ``"auto"`` asks Python children to flush each line; ``"stdbuf"`` also C programs
    that use libc dynamically; ``"pty"`` gives the child a terminal as its stdout, which any
    program honours, at the price of 4 KiB of buffer.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    inherit_env: Sequence[str] = DEFAULT_ENV_ALLOW_LIST
    cwd: str | os.PathLike[str] | None = None
    stdin: Literal["pipe", "null"] = "pipe"
    unbuffered: Unbuffered | None = "auto"
    replies: str | None = None

    def __post_init__(self) -> None:
        """Freeze what was given, and refuse what no system could start."""
        given: Sequence[object] = self.argv
        if isinstance(given, (str, bytes)) or not given:
            raise MisuseError(
                reason=f"argv must be a non-empty list of strings, not {self.argv!r}",
                hint="use shlex.split() on a command line; no shell is ever involved",
            )
        for one in given:
            if not isinstance(one, (str, os.PathLike)) or "\0" in os.fspath(one):
                raise MisuseError(reason=f"argument {one!r} is not a string without NUL")
        object.__setattr__(self, "argv", tuple(os.fspath(one) for one in self.argv))
        object.__setattr__(self, "env", dict(self.env))

    @property
    def name(self) -> str:
        """The program's file name, for messages."""
        return Path(self.argv[0]).name

    def environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        """Return the child's whole environment, given ours."""
        allowed = _any_of(tuple(self.inherit_env))
        chosen = {name: value for name, value in ours.items() if allowed.match(name)}
        if self.unbuffered is not None:
            chosen["PYTHONUNBUFFERED"] = "1"
        return {**chosen, **self.env}

    def resolve(self, environment: Mapping[str, str]) -> str:
        """Return the absolute path of the program; raise ``SpawnFailed`` for what cannot start."""
        if self.cwd is not None and not Path(self.cwd).is_dir():
            raise self._refusal(f"its working directory {os.fspath(self.cwd)!r} is not there")
        path = self._locate(environment)
        if Path(path).is_dir():
            raise self._refusal("it is a directory", errno.EISDIR)
        if not os.access(path, os.X_OK):
            raise self._refusal("its file is not executable", errno.EACCES, f"chmod +x {path}")
        self._check_shebang(path)
        return path

    def _locate(self, environment: Mapping[str, str]) -> str:
        program = self.argv[0]
        if os.sep in program:
            path = Path(self.cwd or "") / program
            if not path.exists():
                raise self._refusal("there is no such file", errno.ENOENT)
            return str(path.absolute())
        search = environment.get("PATH", os.defpath)
        found = shutil.which(program, path=search)
        if found is None:
            raise self._refusal(
                f"no program of this name in PATH ({search})",
                errno.ENOENT,
                "give its full path, or install it",
            )
        return str(Path(found).absolute())

    def _check_shebang(self, path: str) -> None:
        try:
            with Path(path).open("rb") as file:
                head = file.read(_SHEBANG_BYTES)
        except OSError:  # a program may be executable and not readable: then let execve judge
            return
        if not head.startswith(b"#!"):
            self._check_format(head)
            return
        words = head[2:].split(b"\n", 1)[0].split()
        interpreter = os.fsdecode(words[0]) if words else ""
        if not os.access(interpreter, os.X_OK):
            raise self._refusal(
                f"its first line asks for the interpreter {interpreter!r}, which is not there",
                errno.ENOENT,
            )

    def _check_format(self, head: bytes) -> None:
        """Refuse what ``execvp`` of a launcher would hand to a shell instead."""
        if sys.platform == "linux" and not head.startswith(_ELF):
            raise self._refusal(
                "its file is neither an ELF program nor a script with a `#!` line",
                errno.ENOEXEC,
                "name its interpreter as the program, and the file as its first argument",
            )

    def _refusal(self, reason: str, number: int | None = None, hint: str = "") -> SpawnFailed:
        return SpawnFailed(program=self.argv[0], reason=reason, errno=number, hint=hint)


@cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One pattern for a whole allow-list: a spawn would match a thousand times one by one."""
    return re.compile("|".join(map(fnmatch.translate, patterns)) or r"(?!)")
