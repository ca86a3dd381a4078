"""What a process uses, as the kernel counts it: memory and processor time. Stops nobody."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

_KB = 1024  # smaps_rollup says kB and means KiB
_SCHEDULED = 2  # CPUCLOCK_SCHED of the kernel's posix-timers.h: all threads, to the nanosecond


class Memory(NamedTuple):
    """Bytes in memory: of this process alone, and with its share of what several have mapped."""

    private: int
    proportional: int


def memory_of(pid: int) -> Memory:
    """Return what a process has in memory now (USS and PSS)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    _, *lines = text.splitlines()
    sizes = {name: int(size) * _KB for name, size, _ in map(str.split, lines)}
    return Memory(sizes["Private_Clean:"] + sizes["Private_Dirty:"], sizes["Pss:"])


def processor_time(pid: int) -> float:
    """Return the processor seconds of a process so far."""
    return time.clock_gettime(~pid << 3 | _SCHEDULED)  # the clock of clock_getcpuclockid(3)
