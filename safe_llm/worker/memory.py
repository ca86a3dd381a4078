"""A bound for this process's memory, so that too large a wish is refused and nobody is killed."""

from __future__ import annotations

import resource
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_KIB = 1024
_ROOT = Path("/")


class _Controller(NamedTuple):
    """Where a kind of control groups keeps its figures (cgroups(7)); ``stat`` is the file cache."""

    line: str  # what precedes the group's path in /proc/PID/cgroup
    mount: str
    limit: str
    used: str
    stat: tuple[str, ...]


_CONTROLLERS = (
    _Controller(
        "0::", "unified", "memory.max", "memory.current", ("inactive_file", "active_file")
    ),
    _Controller("0::", "", "memory.max", "memory.current", ("inactive_file", "active_file")),
    _Controller(
        ":memory:", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
        ("total_inactive_file", "total_active_file"),
    ),
)  # fmt: skip


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
    wanted = _field(_ROOT / "proc/self/status", "VmData") + free
    bounds = [one for one in (wanted, soft, hard) if one != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(bounds), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def free_bytes(root: Path = _ROOT) -> int | None:
    """Return what the machine and our control groups could still give; None where unknown."""
    if sys.platform != "linux":
        return None
    meminfo = root / "proc/meminfo"
    try:
        machine = _field(meminfo, "MemAvailable") + _field(meminfo, "SwapFree")
        return min([machine, *_left_in_groups(root)])
    except (OSError, KeyError, ValueError):
        return None


def _left_in_groups(root: Path) -> Iterator[int]:
    """What each control group above us has left; the file cache makes room when it must."""
    lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    for controller in _CONTROLLERS:
        for line in lines:
            _, found, path = line.partition(controller.line)
            mount = root / "sys/fs/cgroup" / controller.mount
            group = mount / path.lstrip("/")
            while found and group.is_relative_to(mount):
                yield from _left_in(group, controller)
                group = group.parent


def _left_in(group: Path, controller: _Controller) -> Iterator[int]:
    try:
        limit = (group / controller.limit).read_text(encoding="ascii").strip()
        used = int((group / controller.used).read_text(encoding="ascii"))
        lines = (group / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # not mounted here, or the group of all groups
        return
    stat = dict(line.split(" ", 1) for line in lines)
    cache = sum(int(stat.get(name, 0)) for name in controller.stat)
    if limit.isdecimal():
        yield max(int(limit) - used + cache, 0)


def _field(path: Path, name: str) -> int:
    lines = (line.partition(":") for line in path.read_text(encoding="ascii").splitlines())
    fields = {key: value for key, _, value in lines}
    return int(fields[name].split()[0]) * _KIB
