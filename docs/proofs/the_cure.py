import asyncio
import sys
import time

import witness

import safe_llm

NASTY = "import os; os.write(2, b'caf\\xe9 ' + b'x' * 20_000_000 + b'\\n')"


async def main() -> None:
    argv = [sys.executable, "-c", NASTY + witness.ANSWERS_AFTER_A_LOT_OF_LOG]
    async with safe_llm.spawn(argv) as child:
        child.stdin.write(b"hello\n")
        time.sleep(1)  # the caller's loop is blocked: nobody minds
        print(next(child.stdout.lines(timeout=10)))  # a synchronous call, where a loop runs
        drained = child.statistics().stderr.received_bytes
        child.stdin.write(b"y" * 10_000_000)  # queued: the child may read it or not
        child.kill()
        status = await child.wait_async(timeout=10)
        print(f"{drained} bytes of log were drained; the child {status.describe()}")


asyncio.run(main())
