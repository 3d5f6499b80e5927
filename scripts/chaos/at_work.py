"""The worker process under test: `python -m scripts.chaos.at_work`, told by its environment what to serve and where.

Beside the lines of its handlers the ledger gets what only the worker knows: a result that was fenced off, that it has
heard that it is to stop, and that `Worker.run` has returned.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from jobqueue import App, Worker
from jobqueue.events import Event
from jobqueue.registry import load_registry
from jobqueue.settings import Settings
from scripts.chaos.ledger import Ledger


def up(ledger: Ledger, pid: int) -> Path:
    """The file that says that the process serves."""
    return ledger.path.with_name(f"up-{pid}")


async def main() -> None:
    settings, ledger = Settings.load(), Ledger.of_environment()

    def note(event: Event) -> None:
        if event.name == "job.fenced":
            ledger.write("fenced", event.job_id or "", 0, note=event.detail or "")
        elif event.name == "worker.stopping":
            ledger.write("stopping", "", 0)
        elif event.name == "worker.started":
            up(ledger, os.getpid()).touch()

    async with App(load_registry(settings.jobs_registry), settings) as app:
        app.events.subscribe(note)
        await Worker(app).run()
        ledger.write("returned", "", 0)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    asyncio.run(main())
