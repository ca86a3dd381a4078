import asyncio
import sys
from asyncio.subprocess import PIPE

import witness


async def drain(stream: asyncio.StreamReader) -> None:
    while True:
        try:
            if not await stream.readline():
                return
        except BaseException as error:  # "a drain must never die"
            print(f"the drain goes on after {type(error).__name__}")


async def main() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", witness.ANSWERS_AFTER_A_LOT_OF_LOG, stdin=PIPE, stderr=PIPE
    )
    draining = asyncio.create_task(drain(child.stderr))
    await asyncio.sleep(0.1)
    draining.cancel()
    _, pending = await asyncio.wait([draining], timeout=2)
    print(f"deadlock: cancelled 2 s ago, and {len(pending)} task is still there to be waited for")
    witness.finish(child.pid)


asyncio.run(main())
