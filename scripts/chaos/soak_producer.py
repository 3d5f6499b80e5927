"""The producer of R19: `python -m scripts.chaos.soak_producer`, told by its environment where to and how fast.

It keeps its rate until SIGTERM, and writes into the ledger which jobs it was told are stored.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import time
from typing import Final

from jobqueue import App
from jobqueue.settings import Settings
from scripts.chaos.at_work import up
from scripts.chaos.ledger import Ledger
from scripts.chaos.soak_jobs import Chore, alone, chore, chores, latest, options_of, registry

MODULE: Final = "scripts.chaos.soak_producer"
RATE, SEED = "SOAK_JOBS_A_SECOND", "SOAK_SEED"
STORED: Final = "stored"
"""The word of a line in the ledger: a job was acknowledged."""

_HANDLERS: Final = {"latest": latest, "alone": alone}


async def main() -> None:
    ledger, rate = Ledger.of_environment(), int(os.environ[RATE])
    chance, told_to_end = random.Random(os.environ[SEED]), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    async with App(registry, Settings.load()) as app:
        up(ledger, os.getpid()).touch()
        next_s = time.monotonic()
        for drawn in chores(chance):
            await _store(app, ledger, drawn, chance)
            next_s += 1 / rate
            if await _ends_before(told_to_end, next_s):
                return


async def _store(app: App, ledger: Ledger, drawn: Chore, chance: random.Random) -> None:
    job = await app.enqueue_job(_HANDLERS.get(drawn.kind, chore), drawn, **options_of(drawn, chance))
    ledger.write(STORED, job.job_id, 0, key=drawn.kind, note=f"{drawn.manner}/{drawn.group}")


async def _ends_before(told_to_end: asyncio.Event, moment_s: float) -> bool:
    """Wait for the moment, or for the end; whether the end came."""
    try:
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + moment_s - time.monotonic()):
            await told_to_end.wait()
    except TimeoutError:
        return False
    return True


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    asyncio.run(main())
