"""A bound for this process's memory, so that too large a wish is refused and nobody is killed."""

from __future__ import annotations

import resource
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_KIB = 1024
_CGROUP = Path("/sys/fs/cgroup")


@contextmanager
def bounded_memory(free: int | None) -> Iterator[None]:
    """Let the process allocate no more than ``free`` bytes besides what it has; None is no bound.

    RLIMIT_DATA counts private writable memory, reserved or in use, and no mapped model file
    (setrlimit(2), since Linux 4.7). It must not be set where a GPU is used: drivers reserve what
    they never use.
    """
    if free is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _field("/proc/self/status", "VmData") + free
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def free_bytes() -> int | None:
    """Return what the machine and our control group could still give; None where unknown."""
    if sys.platform != "linux":
        return None
    try:
        machine = _field("/proc/meminfo", "MemAvailable") + _field("/proc/meminfo", "SwapFree")
    except (OSError, KeyError, ValueError):
        return None
    return min([machine, *_left_in_cgroups()])


def _field(path: str, name: str) -> int:
    lines = (line.partition(":") for line in Path(path).read_text(encoding="ascii").splitlines())
    fields = {key: value for key, _, value in lines}
    return int(fields[name].split()[0]) * _KIB


def _left_in_cgroups() -> Iterator[int]:
    """What each control group above us, of the second kind, has left."""
    try:
        own = Path("/proc/self/cgroup").read_text(encoding="utf-8").partition("0::")[2].strip()
    except OSError:
        return
    folder = _CGROUP / own.lstrip("/")
    for group in (folder, *folder.parents):
        try:
            limit = (group / "memory.max").read_text(encoding="ascii").strip()
            used = int((group / "memory.current").read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if limit.isdecimal():
            yield max(int(limit) - used, 0)
