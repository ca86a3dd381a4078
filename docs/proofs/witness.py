"""Watches a proof from a thread: says where its child stands still, then ends it. Bounded.

A proof that deadlocks cannot say so itself. Standard library only, Linux only: it reads /proc.
"""

import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

BOUND = 15.0  # seconds for any proof, on a machine that does much else
STILL = 0.5  # seconds in the same blocking write, before it is called a deadlock

# Children that a proof may start, for `python -c`. Each ends by itself after a minute.
ANSWERS_AFTER_A_LOT_OF_LOG = """
import signal, sys
signal.alarm(60)
for request in sys.stdin:
    sys.stderr.write("a line of log\\n" * 20_000)
    print("answer to", request, end="", flush=True)
"""
LOGS_FOR_EVER = """
import os, signal
signal.alarm(60)
while True:
    os.write(2, b"a line of log\\n" * 250)
"""


def blocked_in_write(pid: int) -> str:
    """Return "1" or "2" if the process waits in a write to a full stdout or stderr, else ""."""
    try:
        where = Path(f"/proc/{pid}/wchan").read_text()
        call = Path(f"/proc/{pid}/syscall").read_text().split()
    except OSError:
        return ""
    waits = re.fullmatch(r"(anon_)?pipe_(write|wait)", where) and len(call) > 1
    return str(int(call[1], 16)) if waits else ""


def wait_until_blocked(pid: int) -> str:
    """Return the descriptor as soon as the process has stood still in a write to it."""
    until, since, seen = time.monotonic() + BOUND, time.monotonic(), ""
    while time.monotonic() < until:
        descriptor = blocked_in_write(pid)
        if descriptor != seen or not seen:
            since, seen = time.monotonic(), descriptor
        elif time.monotonic() - since > STILL:
            return descriptor
        time.sleep(0.02)
    return ""


def watch(pid: int) -> None:
    """Tell where the child stands still, kill it, and end this process, whatever it waits for."""
    threading.Thread(target=_tell, args=[pid], daemon=True).start()


def _tell(pid: int) -> None:
    descriptor = wait_until_blocked(pid)
    if descriptor:
        print(f"deadlock: the child is blocked in a write to descriptor {descriptor}")
    else:
        print("no deadlock was seen")
    finish(pid, proved=bool(descriptor))


def finish(*pids: int, proved: bool = True) -> None:
    """Kill what the proof started and leave, without waiting for anybody."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    sys.stdout.flush()
    os._exit(0 if proved else 1)
