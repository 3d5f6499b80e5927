"""`python -m handlers.channel`: plays the lives of some payment channels, and proves what was promised of them."""

from __future__ import annotations

import asyncio
import logging
import signal
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from handlers.channel.play import play
from handlers.channel.screen import showing_board
from handlers.channel.stage import set_up
from jobqueue.worker.signals import caught

BLOCK_S: Final = 0.2
INTERRUPTED: Final = 130


Channels = Annotated[int, typer.Option(min=1, max=500, help="How many lives.")]
Seed = Annotated[int, typer.Option(help="What the plots and the accidents are drawn from.")]
Speed = Annotated[float, typer.Option(min=0.1, max=20, help="1 is a block of the chain each 200 ms, 2 two of them.")]
Board = Annotated[int | None, typer.Option(min=0, max=65535, help="Serve the board on this port, until Ctrl-C.")]

command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@command.command()
def main(channels: Channels = 6, seed: Seed = 1, speed: Speed = 1, board: Board = None) -> None:
    """Play the lives of some payment channels on a Redis and a database of their own, which end with the command.

    Exit status 0: every promise was kept. 1: one was not. 130: Ctrl-C came first.
    """
    console = Console(highlight=False)
    logging.basicConfig(level=logging.ERROR)
    raise typer.Exit(asyncio.run(_play(console, channels, seed, BLOCK_S / speed, board)))


async def _play(console: Console, channels: int, seed: int, block_s: float, board: int | None) -> int:
    stop = asyncio.Event()
    with caught((signal.SIGINT, signal.SIGTERM), stop.set), tempfile.TemporaryDirectory(prefix="channel-") as folder:
        async with set_up(Path(folder), seed=seed, block_s=block_s) as stage, showing_board(stage, board, console):
            playing = asyncio.create_task(play(stage, channels=channels, seed=seed, console=console))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
                console.print("\nstopped before the end: nothing is proven")
                return INTERRUPTED
            kept = playing.result()
            if board is not None:
                await stopping
            stopping.cancel()
            return 0 if kept else 1


if __name__ == "__main__":
    command(prog_name="python -m handlers.channel")
