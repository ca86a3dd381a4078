import asyncio
import sys
import tempfile
from asyncio.subprocess import PIPE

import witness

COUNTS_ITS_LOG = """
import os, signal
signal.alarm(60)
while True:
    os.write(2, b"x" * 4096)
    os.write(1, b".")  # a file: its size is the number of blocks that were written
"""


async def blocked_after(limit: int) -> int:
    with tempfile.TemporaryFile() as blocks:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", COUNTS_ITS_LOG, stdout=blocks, stderr=PIPE, limit=limit
        )
        await asyncio.to_thread(witness.wait_until_blocked, child.pid)
        child.kill()
        return blocks.seek(0, 2) * 4096


async def main() -> None:
    for limit in (64 * 1024, 4 * 2**20):
        written = await blocked_after(limit)
        print(
            f"limit={limit}: blocked after {written} bytes, {written / limit:.0f} times the limit"
        )
    witness.finish()  # asyncio.run would wait for the children, which is another proof


asyncio.run(main())
