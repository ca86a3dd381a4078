import ctypes
import os
import subprocess
import sys
import threading

import witness


def drain_own_stderr_and_let_native_code_log() -> None:
    reader, writer = os.pipe()
    os.dup2(writer, 2)
    threading.Thread(target=lambda: os.read(reader, 2**20), daemon=True).start()
    text = b"x" * 1_000_000
    ctypes.PyDLL(None).write(2, text, len(text))  # PyDLL keeps the interpreter's lock


if sys.argv[1:] == ["victim"]:
    drain_own_stderr_and_let_native_code_log()
else:
    victim = subprocess.Popen([sys.executable, __file__, "victim"])
    witness.watch(victim.pid)
    victim.wait()
