"""A worker in a process of its own, whose handlers write a ledger: `python -m tests.worker.programs.crew`.

The ledger, a file named by the variable LEDGER, holds one line for each start and each end of a run:
`start|end job-id attempt pid`. It is only ever appended to, so lines of several processes do not mix.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from jobqueue import App, JobContext, Registry, Worker, make_job


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger."""

    what: str
    job_id: str
    attempt: int
    pid: int


def write(what: str, ctx: JobContext) -> None:
    """Append one line, in one write."""
    line = f"{what} {ctx.job.id} {ctx.job.attempt} {os.getpid()}\n"
    ledger = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(ledger, line.encode())
    finally:
        os.close(ledger)


def read(ledger: Path) -> list[Line]:
    """What has been written so far."""
    text = ledger.read_text(encoding="utf-8") if ledger.exists() else ""
    parts = [line.split() for line in text.splitlines()]
    return [Line(what, job_id, int(attempt), int(pid)) for what, job_id, attempt, pid in parts]


@make_job(name="work", attempts=1, max_claims=3)
async def work(ctx: JobContext, first_hold_ms: int) -> int:
    """Hold on for so long where no worker has died of this job yet; returns the process that did the work."""
    write("start", ctx)
    if ctx.job.stalled_count == 0:
        await asyncio.sleep(first_hold_ms / 1000)  # the work
    write("end", ctx)
    return os.getpid()


@make_job(name="linger", attempts=1, grace_ms=300)
async def linger(ctx: JobContext) -> str:
    """Work until told to stop, and stop then."""
    write("start", ctx)
    await ctx.signal.wait()
    ctx.raise_if_cancelled()
    return "never told"


@make_job(name="crash", attempts=1, max_claims=2)
async def crash(ctx: JobContext) -> None:
    """Take the process away."""
    write("start", ctx)
    os._exit(7)


@make_job(name="steady", attempts=1, max_claims=2)
async def steady(ctx: JobContext) -> None:
    """Take a while, each time."""
    write("start", ctx)
    await asyncio.sleep(0.2)  # the work
    write("end", ctx)


@make_job(name="hang", attempts=1, grace_ms=100)
def hang(ctx: JobContext) -> None:
    """A thread that nothing can stop."""
    write("start", ctx)
    time.sleep(600)  # the subject: longer than any test


HANDLERS = (work, linger, crash, steady, hang)


async def main() -> None:
    async with App(Registry(HANDLERS)) as app:
        await Worker(app).run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main())
