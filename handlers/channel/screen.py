"""Screen: the board beside the play, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from rich.console import Console

from handlers.channel.stage import Stage


@asynccontextmanager
async def showing_board(stage: Stage, port: int | None, console: Console) -> AsyncGenerator[None]:
    """`jobqueue serve` for the length of the block; nothing where no port is given.

    Raises: SystemExit where the port is taken: who plays six lives first would learn it a minute later.
    """
    if port is None:
        yield
        return
    if port and await _is_taken(port):
        raise SystemExit(f"error: port {port} of this machine is taken; give --board another one")
    command = [sys.executable, "-m", "jobqueue.cli", "serve", "--port", str(port)]
    serving = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | stage.environment,
        start_new_session=True,  # out of reach of the terminal's Ctrl-C: it is told when the play is over
    )
    console.print("the board stays when the lives are over, until Ctrl-C")
    try:
        yield
    finally:
        if serving.returncode is None:
            serving.terminate()
        await serving.wait()


async def _is_taken(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
