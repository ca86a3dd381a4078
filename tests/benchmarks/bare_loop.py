"""The reference for a crowd: ``Popen`` and one ``selectors`` loop in one thread, and no more.

It stops nobody, sweeps nothing, keeps nothing and protects against nothing: what is left is what
starting the processes and emptying their pipes costs at least.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_READ_BYTES = 64 * 1024


def drain_all(argv: Sequence[str], count: int, bound: float) -> int:
    """Start ``count`` children, empty their pipes, reap them; return how many bytes came."""
    until = time.monotonic() + bound
    received = 0
    children = []
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            child = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            children.append(child)
            for stream in (child.stdout, child.stderr):
                selector.register(stream, selectors.EVENT_READ)  # type: ignore[arg-type]  # pipes
            received += _turn(selector, 0.0)
        while selector.get_map() and time.monotonic() < until:
            received += _turn(selector, 1.0)
    for child in children:
        if child.stdin is not None:
            child.stdin.close()
        child.wait(max(until - time.monotonic(), 0.0))
    return received


def _turn(selector: selectors.BaseSelector, timeout: float) -> int:
    received = 0
    for key, _ in selector.select(timeout):
        chunk = os.read(key.fd, _READ_BYTES)
        received += len(chunk)
        if not chunk:
            selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]  # it is a pipe
    return received
