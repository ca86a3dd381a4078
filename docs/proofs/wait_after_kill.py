import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE

import witness


async def main() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", witness.LOGS_FOR_EVER, stdout=DEVNULL, stderr=PIPE
    )
    await asyncio.to_thread(witness.wait_until_blocked, child.pid)
    child.kill()
    try:
        await asyncio.wait_for(child.wait(), 3)
    except TimeoutError:
        print("deadlock: killed 3 s ago, and `await child.wait()` has not returned")
        witness.finish()
    print("no deadlock: this version of asyncio has learnt it")
    witness.finish(proved=False)


asyncio.run(main())
