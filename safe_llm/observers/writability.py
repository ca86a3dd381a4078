"""Would writing to this stream block? Asks the kernel and never writes; a hint, not a promise."""

from __future__ import annotations

import io
import os
import select
import stat

ATOMIC_WRITE_BYTES = 4_096  # a Linux pipe that polls writable has a whole page free (PIPE_BUF)


def accepts_write(stream: object, timeout: float) -> bool:
    """Wait up to ``timeout`` seconds until ``stream`` takes ``ATOMIC_WRITE_BYTES`` at once.

    True also where the kernel cannot tell: no descriptor, a regular file, a broken pipe (which
    fails, and does not block). Another writer may still be faster than the caller.
    """
    descriptor = _blocking_descriptor(stream)
    if descriptor is None:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(timeout * 1_000))


def _blocking_descriptor(stream: object) -> int | None:
    # Other classes may own a descriptor and write elsewhere: a notebook's stream, for one.
    if not isinstance(stream, io.TextIOWrapper):
        return None
    try:
        descriptor = stream.fileno()
        return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor
    except (OSError, ValueError):  # closed, detached, or a buffer without a descriptor
        return None
