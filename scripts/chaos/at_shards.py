"""The worker process of R6 and R6C: `python -m scripts.chaos.at_shards`, which serves the queues of several prefixes.

On a cluster each prefix has a node of its own; elsewhere there is one prefix.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from jobqueue import App, Worker
from jobqueue.events import Event
from jobqueue.registry import load_registry
from jobqueue.settings import Settings
from scripts.chaos.at_work import up
from scripts.chaos.ledger import Ledger

MODULE: Final = "scripts.chaos.at_shards"
PREFIXES: Final = "CHAOS_PREFIXES"
"""The environment variable that names the prefixes, with spaces between them."""


RECORDED: Final = "recorded"
"""The word of a line in the ledger: a result was acknowledged; its key is the place of the prefix."""


def prefixes() -> list[str]:
    """Those that this process was told of."""
    return os.environ[PREFIXES].split()


async def main() -> None:
    told_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    async with AsyncExitStack() as opened:
        workers: list[Worker] = []
        for place, prefix in enumerate(prefixes()):
            settings = Settings.load(jobs_prefix=prefix)
            app = await opened.enter_async_context(App(load_registry(settings.jobs_registry), settings))
            app.events.subscribe(partial(_note, Ledger.of_environment(), str(place)))
            workers.append(await opened.enter_async_context(Worker(app)))
        up(Ledger.of_environment(), os.getpid()).touch()
        await told_to_end.wait()
        await asyncio.gather(*(worker.stop() for worker in workers))


def _note(ledger: Ledger, place: str, event: Event) -> None:
    """When a worker knew that a result is in Redis: so long the run may be unknown there."""
    if event.name == "job.completed":
        ledger.write(RECORDED, event.job_id or "", 0, key=place)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    asyncio.run(main())
