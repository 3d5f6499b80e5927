"""A worker process that a test kills while it holds a job of each pattern: `python -m tests.interop.mortal`.

Its handlers write the ledger of `tests.worker.programs.crew`. In this process they hold on for HOLD_S seconds; where a
test serves them they return at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from subprocess import Popen

from jobqueue import (
    App,
    Enqueued,
    JobContext,
    Registry,
    Settings,
    Worker,
    make_job,
    make_singleton_job,
    make_superseding_job,
)
from tests.support.eventually import eventually
from tests.support.processes import end, spawn
from tests.worker.programs.crew import read, write

PROJECT = Path(__file__).parents[2]
PASSED_ON = ("redis_url", "jobs_prefix", "worker_lock_ms", "worker_stalled_ms")
FOR_EVER_S = 600


async def work(ctx: JobContext) -> str:
    write("start", ctx)
    await asyncio.sleep(float(os.environ.get("HOLD_S", "0")))  # the work
    write("end", ctx)
    return ctx.job.id


@make_job(name="step", attempts=1)
async def step(ctx: JobContext) -> str:
    return await work(ctx)


@make_job(name="call", attempts=1, concurrency=1)
async def call(ctx: JobContext) -> str:
    return await work(ctx)


@make_job(name="charge", attempts=1, duplicates="reject")
async def charge(ctx: JobContext) -> str:
    return await work(ctx)


@make_superseding_job(name="sync", attempts=1, dedupe_key=lambda payload: "lane")
async def sync(ctx: JobContext) -> str:
    return await work(ctx)


@make_singleton_job(name="clean", attempts=1)
async def clean(ctx: JobContext) -> str:
    return await work(ctx)


@make_job(name="rated", attempts=1, rate_limit=(2, 60_000))
async def rated(ctx: JobContext) -> str:
    return await work(ctx)


HANDLERS = (step, call, charge, sync, clean, rated)


@dataclass(frozen=True, slots=True)
class Mortal:
    """The process, and what it has written."""

    process: Popen[bytes]
    ledger: Path

    async def has_started(self, job: Enqueued) -> None:
        await eventually(lambda: any(line.job_id == job.job_id for line in read(self.ledger)), 20)

    def kill(self) -> None:
        """As `kill -9` does."""
        end(self.process, SIGKILL)

    def lines(self) -> list[tuple[str, str]]:
        """What was written, by this process and by others: start or end, and the job."""
        return [(line.what, line.job_id) for line in read(self.ledger)]


@contextmanager
def mortal_in(folder: Path, settings: Settings) -> Generator[Mortal]:
    """The program at work; it is killed at the end of the block, at the latest."""
    ledger = folder / "ledger"
    environment = [
        f"LEDGER={ledger}",
        f"HOLD_S={FOR_EVER_S}",
        *(f"{name.upper()}={getattr(settings, name)}" for name in PASSED_ON),
    ]
    command = ["env", *environment, sys.executable, "-m", "tests.interop.mortal"]
    process = spawn(command, cwd=PROJECT, log=folder / "mortal.log")
    try:
        yield Mortal(process, ledger)
    finally:
        end(process, SIGKILL)


async def main() -> None:
    async with App(Registry(HANDLERS)) as app:
        await Worker(app).run()


if __name__ == "__main__":
    asyncio.run(main())
