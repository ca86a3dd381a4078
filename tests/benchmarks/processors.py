"""Where threads run. Children started meanwhile run there as well."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def on_one_processor() -> Iterator[None]:
    """Keep all threads of this process on one processor inside the block."""
    allowed = os.sched_getaffinity(0)
    _confine({max(allowed)})
    try:
        yield
    finally:
        _confine(allowed)


def _confine(processors: set[int]) -> None:
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread.name), processors)
