"""A zoo of misbehaving programs, one tiny program each. Gives their argv and starts nothing.

Each program says in its docstring what it does wrong, runs alone from a shell, imports nothing but
the standard library, and ends by itself after ten minutes at the latest, so that a forgotten one
does not stay. A line protocol means: one request a line on stdin, one answer a line on stdout.

======================  ==========================================================================
rows of the matrix      programs (``.c`` ones are compiled when first asked for)
======================  ==========================================================================
1, 11, 12, 15, 16, 19   ``flood_stderr``, ``flood_on_request`` (line protocol)
2, 3, 14, 37, 43        ``writer_64k.c`` (for ever with a size of 0)
4                       ``flood_both``
5                       ``long_line`` (line protocol)
6                       ``dots``, ``carriage_return``
7                       ``bad_bytes``
8                       ``one_byte_writes.c``
9, 21, 22, 47, 48, 52   ``echo`` (line protocol), ``flood_on_request``
10                      ``hold_gil`` (also a function for the process that holds ours)
13                      ``numbered_lines``
18                      ``unstartable`` (makes programs that cannot be started)
20, 21                  ``crash_at_start``, ``crash_on_request`` (line protocol), ``last_words``
22, 23, 30, 32 to 36    ``silent`` (until stdin ends), ``sleeper`` (whatever happens to stdin)
24                      ``ignore_sigterm``
25                      ``log_in_sigterm``
26                      ``grandchild_holds_pipe``, ``grandchild_writes_on``
27                      ``daemonise``
28                      ``close_outputs``
29                      ``fork_bomb``
30, 31                  ``tree``
39                      ``buffered_stdout.c``
41                      ``other_listener``, ``help_only``
44                      ``prints_environment``
45, 51                  ``stop_reading_stdin``
49                      ``crash_on_request``, ``silent``
======================  ==========================================================================
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

__all__ = ["available", "c_child", "python_child"]

_HERE = Path(__file__).parent
_COMPILE_TIMEOUT = 60.0  # seconds for twenty lines of C, on a machine that does much else


def available(suffix: str) -> list[str]:
    """Return the names of all programs that end in ``suffix``."""
    return sorted(one.stem for one in _HERE.glob(f"*{suffix}") if one.stem != "__init__")


def _source(name: str, suffix: str) -> Path:
    source = _HERE / f"{name}{suffix}"
    if not source.is_file():
        raise ValueError(f"no child {name}{suffix} among {', '.join(available(suffix))}")
    return source


def python_child(name: str, *args: object, python: str = sys.executable) -> list[str]:
    """Return the argv of a Python child.

    ``-S`` leaves out site-packages, of which no child needs any: that halves its start-up.
    Whether its stdout is buffered is left to the environment, as with any Python program.
    """
    return [python, "-S", str(_source(name, ".py")), *map(str, args)]


def c_child(name: str, *args: object, cache: Path) -> list[str]:
    """Return the argv of a C child, compiled into ``cache`` unless it is there already.

    Raises ``subprocess.CalledProcessError`` or ``TimeoutExpired`` when ``cc`` fails or hangs.
    """
    source = _source(name, ".c")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    program = cache / f"{name}-{digest}"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = cache / f"{name}-{digest}.{os.getpid()}"
        subprocess.run(
            ["cc", "-O2", "-Wall", "-Werror", "-o", str(unfinished), str(source)],
            check=True,
            timeout=_COMPILE_TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
        # Another worker may be compiling the same: the rename lets nobody see half a program.
        unfinished.replace(program)
    return [str(program), *map(str, args)]
