import asyncio
import sys
from asyncio.subprocess import PIPE

import witness

ONE_LONG_LINE_THEN_LOG = "import os; os.write(2, b'x' * 5_000_000 + b'\\n')" + witness.LOGS_FOR_EVER


async def drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


async def main() -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ONE_LONG_LINE_THEN_LOG), stdout=PIPE, stderr=PIPE, limit=4 * 2**20
    )
    witness.watch(child.pid)
    try:
        async with asyncio.TaskGroup() as drains:
            drains.create_task(drain(child.stdout))
            drains.create_task(drain(child.stderr))
    except* ValueError as error:
        print(f"both drains have ended: {error.exceptions[0]}")
    await child.wait()


asyncio.run(main())
