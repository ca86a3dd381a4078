import asyncio
import sys
from asyncio.subprocess import PIPE

import witness

LEAVES_A_DAEMON = """
import subprocess
print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
"""


async def drain(stream: asyncio.StreamReader, lines: list[bytes]) -> None:
    while line := await stream.readline():
        lines.append(line)


async def main() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LEAVES_A_DAEMON, stdout=PIPE, stderr=PIPE
    )
    lines = []
    try:
        async with asyncio.timeout(3), asyncio.TaskGroup() as drains:
            drains.create_task(drain(child.stdout, lines))
            drains.create_task(drain(child.stderr, lines))
    except TimeoutError:
        print("deadlock: the child has exited, and both drains still wait for the end of its pipes")
    witness.finish(int(lines[0]))


asyncio.run(main())
