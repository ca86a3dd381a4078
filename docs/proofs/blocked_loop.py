import asyncio
import sys
from asyncio.subprocess import PIPE

import witness


async def drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


async def main() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        witness.ANSWERS_AFTER_A_LOT_OF_LOG,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    witness.watch(child.pid)
    draining = asyncio.create_task(drain(child.stderr))  # the remedy
    child.stdin.write(b"hello\n")
    answer = asyncio.run_coroutine_threadsafe(child.stdout.readline(), asyncio.get_running_loop())
    print(answer.result())  # a synchronous `invoke`, called where a loop runs
    await draining


asyncio.run(main())
