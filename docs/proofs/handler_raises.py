import asyncio
import sys
from asyncio.subprocess import PIPE

import witness

ONE_BAD_BYTE_THEN_LOG = "import os; os.write(2, b'caf\\xe9\\n')" + witness.LOGS_FOR_EVER


async def drain(stream: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode())


async def main() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ONE_BAD_BYTE_THEN_LOG, stdout=PIPE, stderr=PIPE
    )
    witness.watch(child.pid)
    draining = asyncio.create_task(drain(child.stderr, []))
    draining.add_done_callback(lambda task: print(f"the drain has ended: {task.exception()!r}"))
    await child.stdout.read()


asyncio.run(main())
