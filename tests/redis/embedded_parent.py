"""A program that starts an embedded Redis, says so, and goes on until it is ended; for the tests.

`python -m tests.redis.embedded_parent DIRECTORY [fork]`; with `fork` it has a forked child that outlives it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from jobqueue.redis.embedded import EmbeddedRedis

CHILD_LIVES_S = 20


async def run(directory: Path, *, fork: bool) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopped.set)
    async with EmbeddedRedis(directory) as server:
        if fork and os.fork() == 0:
            os.close(sys.stdout.fileno())
            time.sleep(CHILD_LIVES_S)  # it only has to hold what it inherited
            os._exit(0)
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await stopped.wait()
        # Still in use here: a worker that ends in good order writes its last results now. Redis acts on a signal
        # at its next tick, up to 100 ms later, so look after that.
        await asyncio.sleep(0.5)
        answer = await answer_to_ping(server.socket_path)
        sys.stdout.write(f"{answer}\n")


async def answer_to_ping(socket_path: Path) -> str:
    reader, writer = await asyncio.open_unix_connection(socket_path)
    writer.write(b"PING\r\n")
    answer = await reader.readline()
    writer.close()
    return answer.decode().strip()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), fork="fork" in sys.argv[2:]))
