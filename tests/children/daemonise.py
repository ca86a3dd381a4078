"""Prints the pid of a daemon (own session, orphaned, no pipe of ours), then lives till stdin ends.

``daemonise.py wipe`` gives the daemon an empty environment, as ``env -i`` would: nothing but its
descent and its session then tell whose it is. It ignores SIGTERM and SIGHUP.
"""

from __future__ import annotations

import os
import signal
import sys

DAEMON = """
import os, signal, sys
signal.alarm(600)
for one in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(one, signal.SIG_IGN)
os.write(3, b"%d" % os.getpid())
os.close(3)
while True:
    signal.pause()
"""


def become_daemon(announce: int, *, wipe: bool) -> None:
    os.setsid()
    if os.fork():
        os._exit(0)
    # Duplicates are inheritable, and 3 is where the daemon expects to announce itself.
    os.dup2(announce, 3)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    environment = {} if wipe else dict(os.environ)
    os.execve(sys.executable, [sys.executable, "-S", "-c", DAEMON], environment)


def main(*, wipe: bool) -> None:
    signal.alarm(600)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        become_daemon(writer, wipe=wipe)
    os.close(writer)
    os.waitpid(child, 0)
    os.write(1, os.read(reader, 32) + b"\n")
    while os.read(0, 65536):
        pass


if __name__ == "__main__":
    main(wipe="wipe" in sys.argv[1:])
