"""Programs that an engine's process runs before anything else; see ``Kind.disturbed``.

Those that are made ``on_signal`` do their harm at each SIGUSR1, when a test has use for it.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

from tests.llama_engine import comes_true, pid_of

if TYPE_CHECKING:
    from safe_llm.engines.lease import Lease

CRASH = "import os; os.write(2, b'fatal: assertion failed'); os._exit(7)"
HANG = "import signal; signal.pause()"

IGNORE_SIGTERM = """if True:
    # As npx and uvx: a wrapper, which waits for what it has started. An engine resets its handlers.
    import os, signal
    if os.fork():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()
"""

LEAVE_A_GRANDCHILD = """if True:
    import subprocess
    subprocess.Popen(["sleep", "600"], start_new_session=True, close_fds=False)
"""

_ON_SIGNAL = """if True:
    import os, signal, threading

    def disturb():
{body}

    def wait():
        while True:
            signal.sigwait([signal.SIGUSR1])
            disturb()

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])  # all later threads inherit it
    threading.Thread(target=wait, daemon=True).start()
"""


def on_signal(body: str) -> str:
    """A program that does ``body`` at each SIGUSR1, in a thread of its own."""
    return _ON_SIGNAL.format(body=indent(body, " " * 8))


PRINT = "print('from Python, which keeps a line unless it is asked to flush')"
PRINT_A_MILLION = "import os; os.write(1, b'x' * 1_000_000)"

FLOOD_LINE = "a line of a flood, among hundreds of others\n"
FLOOD_BYTES = 10_000 * len(FLOOD_LINE)
FLOOD = on_signal(f"os.write(2, {FLOOD_LINE.encode()!r} * 10_000)")

TORRENT_BYTES = 200 * 1024 * 1024
TORRENT = on_signal("for _ in range(200): os.write(2, bytes(1024 * 1024))")

# Its stderr becomes a full pipe, of which it holds both ends and which nobody reads.
FREEZE_LOG = on_signal("""\
reader, writer = os.pipe()
os.set_blocking(writer, False)
try:
    while True:
        os.write(writer, bytes(4096))
except BlockingIOError:
    os.set_blocking(writer, True)
    os.dup2(writer, 2)
""")

# It writes nothing any more, and its parent sees the end of both streams.
CLOSE_OUTPUTS = on_signal("""\
null = os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1)
os.dup2(null, 2)
""")


def disturb(engine: Lease) -> None:
    """Have the program do its harm now."""
    os.kill(pid_of(engine), signal.SIGUSR1)


def disturb_its_log(engine: Lease) -> None:
    """As ``disturb``, and wait until its stderr is another file than it was."""
    stderr = Path(f"/proc/{pid_of(engine)}/fd/2")
    before = stderr.readlink()
    disturb(engine)
    assert comes_true(lambda: stderr.readlink() != before)
