"""Brings llama-cpp-python, which has no wheel for Linux: from a cache, an index, or compiled once.

`make test` runs it, in the interpreter that is to import llama_cpp. What fits this platform is
decided by pip and by the loader, not here. Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.long_command import Patience, run_logged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

NAME = "llama-cpp-python"
ROOT = Path(__file__).parents[1]
# Without the instructions of this very processor: machines may share a cache.
CMAKE_ARGS = "-DGGML_NATIVE=OFF"
PROBE = "import llama_cpp; print(llama_cpp.__version__)"
PIP_BOUND = 900.0  # seconds to fetch and unpack wheels of some 25 MB, over a slow line
LAST_LINES = 30  # ten of them are what pip says about it
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HINT = (
    "hint: it takes a C++ compiler (Debian and Ubuntu: apt-get install g++) and the network;"
    " pip brings cmake and ninja"
)


@dataclass(frozen=True)
class Order:
    """What is wanted, for whom, and how long to try; seconds."""

    requirement: str
    cache: Path
    python: str = sys.executable
    pip: tuple[str, ...] = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    build_bound: float = 3600.0  # two busy cores took 13 minutes
    lock_bound: float = 3700.0  # whoever holds the lock gives up first
    interval: float = 30.0  # between two signs of life


class NotProvided(Exception):
    """The library is not there: why, what was printed, and a build's log."""

    def __init__(self, why: str, output: str = "", log: Path | None = None) -> None:
        super().__init__(why, output, log)
        self.why, self.output, self.log = why, output, log

    def __str__(self) -> str:
        last = (f"    {line}" for line in self.output.splitlines()[-LAST_LINES:])
        build = [f"the whole log: {self.log}", HINT] if self.log else []
        return "\n".join([self.why, *last, *build])


def say(text: str) -> None:
    """Tell whoever watches, and now: into a pipe it would go at the end."""
    print(f"{NAME}: {text}", file=sys.stderr, flush=True)


def required(pyproject: str) -> str:
    """Return the one requirement of the extra ``llama-cpp``, from the text of pyproject.toml."""
    (requirement,) = tomllib.loads(pyproject)["project"]["optional-dependencies"]["llama-cpp"]
    return str(requirement)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return where wheels are kept: outside of the tree, so that clones share them."""
    if named := environ.get("SAFE_LLM_WHEEL_CACHE"):
        return Path(named).expanduser().absolute()
    base = Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "safe_llm" / "wheels"


def whole_wheels(folder: Path) -> list[Path]:
    """Return the wheels in which no byte is missing or wrong, whatever platform they are for."""
    return [one for one in sorted(folder.glob("llama_cpp_python-*.whl")) if _is_whole(one)]


def _is_whole(wheel: Path) -> bool:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.testzip() is None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error):
        return False


def provide(order: Order) -> None:
    """Install what is wanted, from the first of three sources that has it, and see that it loads.

    Raises ``NotProvided``, also for a lock that stays taken. An unfinished build is removed,
    whatever ends it.
    """
    if _install(order, whole_wheels(order.cache)) or _install(order, None):
        return
    with _lock(order):
        # Whoever held the lock until now may have built it.
        if _install(order, whole_wheels(order.cache)) or _install(order, [build(order)]):
            return
    raise NotProvided("what was compiled does not load")


def _install(order: Order, wheels: list[Path] | None) -> bool:
    """Install from ``wheels``, or without them from an index; return whether the library loads.

    What is installed already, and new enough, counts as found.
    """
    source = [] if wheels is None else ["--no-index", *(f"--find-links={one}" for one in wheels)]
    if _pip_install(order, "--no-deps", *source).returncode:
        return False
    rest = _pip_install(order)
    if rest.returncode:
        raise NotProvided("pip could not install what it requires", rest.stdout)
    return _loads(order)


def _pip_install(order: Order, *options: str) -> subprocess.CompletedProcess[str]:
    quiet = ("-q", "--no-warn-conflicts", f"--only-binary={NAME}")
    return _run(*order.pip, "install", *quiet, *options, order.requirement)


def _loads(order: Order) -> bool:
    """Try it: the name of a wheel does not tell for which C library it was made."""
    probe = _run(order.python, "-I", "-c", PROBE)
    if not probe.returncode:
        say(f"{probe.stdout.strip()} is installed")
        return True
    reason = [f"status {probe.returncode}", *probe.stdout.splitlines()][-1]
    say(f"a wheel does not load on this machine, and is not used: {reason}")
    _run(*order.pip, "uninstall", "-q", "-y", NAME)
    return False


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=PIP_BOUND,
    )


@contextlib.contextmanager
def _lock(order: Order) -> Iterator[None]:
    """Let one build at a time use the cache. The kernel frees the lock of one that was killed."""
    order.cache.mkdir(parents=True, exist_ok=True)
    path = order.cache / ".lock"
    with path.open("w") as file:
        if not _is_locked(file):
            say(f"waiting for another build, which holds {path}")
            _wait_locked(file, order)
        yield


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_locked(file: IO[str], order: Order) -> None:
    patience = Patience(order.lock_bound, order.interval, say)
    while not _is_locked(file):
        if patience.is_over():
            raise NotProvided(f"another build has held {file.name} for {patience}")
        patience.mention("still waiting for another build")
        time.sleep(0.2)  # flock itself knows no time limit


def build(order: Order) -> Path:
    """Compile a wheel; it gets its name in the cache when it is whole. Return its path."""
    say(
        "no wheel for this platform. Compiling it once takes 5 to 13 minutes on two cores"
        f" (here: {os.cpu_count()}); the wheel is kept in {order.cache}"
    )
    kept_log = order.cache / f"{NAME}.log"
    patience = Patience(order.build_bound, order.interval, say)
    with _workshop(order.cache) as folder:
        log = folder / "log"
        try:
            wheel = _compile(order, folder, log, patience)
        except (NotProvided, TimeoutError) as failure:
            log.replace(kept_log)
            output = kept_log.read_text("utf-8", errors="replace")
            raise NotProvided(f"{failure.args[0]} ({patience})", output, kept_log) from None
        kept_log.unlink(missing_ok=True)
        say(f"compiled in {patience}")
        return wheel.replace(order.cache / wheel.name)


@contextlib.contextmanager
def _workshop(cache: Path) -> Iterator[Path]:
    """Yield an empty folder on the cache's file system. What a killed build left there goes."""
    folder = cache / ".building"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compile(order: Order, folder: Path, log: Path, patience: Patience) -> Path:
    # Not pip's own cache: what lies there may have been compiled for one processor only.
    argv = [*order.pip, "wheel", "-v", "--no-deps", "--no-cache-dir", f"--wheel-dir={folder}"]
    environ = {
        **os.environ,
        "CMAKE_ARGS": f"{os.environ.get('CMAKE_ARGS', '')} {CMAKE_ARGS}".strip(),
        "TMPDIR": str(folder),  # so that nothing of it is anywhere else
    }
    status = run_logged([*argv, order.requirement], environ, log, patience)
    wheels = whole_wheels(folder)
    if status or not wheels:
        raise NotProvided(
            f"the build ended with status {status}{'' if status else ', without a whole wheel'}"
        )
    return wheels[0]


def _leave(number: int, _: FrameType | None) -> None:
    # Once: what follows is bounded, and a second Ctrl-C would leave the half of it.
    for each in ENDINGS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def main() -> int:
    """Provide what pyproject.toml asks for, and return the exit status."""
    for number in ENDINGS:
        signal.signal(number, _leave)
    try:
        requirement = required((ROOT / "pyproject.toml").read_text("utf-8"))
        provide(Order(requirement, cache_folder(os.environ)))
    except (NotProvided, subprocess.TimeoutExpired) as failure:
        say(str(failure))
        return 1
    except KeyboardInterrupt as interrupt:
        return 128 + int(interrupt.args[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
