"""The worker process of the other side: Python's `bullmq` as its documentation shows it, with the same handler."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Any, Final, cast

import bullmq

from jobqueue.settings import Settings
from scripts.chaos.at_work import up
from scripts.chaos.ledger import Ledger, clock_us

MAX_STALLED: Final = 100
"""As often as our handler's `max_claims`, so that no job is given up for being unlucky."""

_log = logging.getLogger("scripts.chaos.plain_worker")


async def main() -> None:
    settings, ledger, told_to_end = Settings.load(), Ledger.of_environment(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    worker = cast(Any, bullmq).Worker(settings.jobs_queue, _run, options(settings))
    worker.on("error", _tell)
    up(ledger, os.getpid()).touch()
    await told_to_end.wait()
    await worker.close()


def _tell(error: Exception, *_: Any) -> None:
    _log.error("%r", error)


def options(settings: Settings) -> dict[str, Any]:
    """What a worker of ours has in its settings."""
    return {
        "connection": settings.redis_url,
        "prefix": settings.jobs_prefix,
        "concurrency": settings.worker_concurrency,
        "lockDuration": settings.worker_lock_ms,
        "stalledInterval": settings.worker_stalled_ms,
        "maxStalledCount": MAX_STALLED,
    }


async def _run(job: Any, token: str) -> int:
    """The handler of `numbered`."""
    ledger, number, run, how = Ledger.of_environment(), int(job.data["number"]), clock_us(), "cut"
    ledger.write("start", str(number), run, note=str(job.id))
    try:
        await asyncio.sleep(job.data["work_ms"] / 1000)  # the work
        how = "finished"
        return number
    finally:
        ledger.write("end", str(number), run, key=how)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    asyncio.run(main())
