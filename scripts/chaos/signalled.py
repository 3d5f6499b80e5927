"""The handlers of R17: runs of every sort that a signal may meet."""

from __future__ import annotations

import asyncio
import time
from typing import Final, NamedTuple

from jobqueue import JobContext, Registry, fixed, make_job
from jobqueue.job import Keep
from scripts.chaos.ledger import Ledger

GRACE_MS: Final = 300
_ALL: Final = Keep()
_BACKOFF: Final = fixed(50)


class Work(NamedTuple):
    """How long a run takes."""

    work_ms: int


async def _sleep(ctx: JobContext, work: Work) -> None:
    ledger, how = Ledger.of_environment(), "cut"
    ledger.start(ctx)
    try:
        await asyncio.sleep(work.work_ms / 1000)  # the work
        how = "finished"
    finally:
        ledger.end(ctx, how)


def _sleep_deeply(ctx: JobContext, work: Work) -> None:
    """Nothing wakes whoever sleeps so: not its task, not the thread that it is in."""
    ledger = Ledger.of_environment()
    ledger.start(ctx)
    time.sleep(work.work_ms / 1000)
    ledger.end(ctx, "finished")


@make_job(name="async", grace_ms=GRACE_MS, backoff=_BACKOFF, keep_completed=_ALL, keep_failed=_ALL)
async def in_task(ctx: JobContext, work: Work) -> None:
    """Is cancelled where it stands."""
    await _sleep(ctx, work)


@make_job(name="thread", grace_ms=GRACE_MS, backoff=_BACKOFF, keep_completed=_ALL, keep_failed=_ALL)
def in_thread(ctx: JobContext, work: Work) -> None:
    """Cannot be stopped."""
    _sleep_deeply(ctx, work)


@make_job(name="process", run_in="process", grace_ms=GRACE_MS, backoff=_BACKOFF, keep_completed=_ALL, keep_failed=_ALL)
async def in_process(ctx: JobContext, work: Work) -> None:
    """Can be killed."""
    await _sleep(ctx, work)


@make_job(name="blocking", grace_ms=GRACE_MS, backoff=_BACKOFF, keep_completed=_ALL, keep_failed=_ALL)
async def blocking(ctx: JobContext, work: Work) -> None:
    """Lets the whole process hear nothing."""
    _sleep_deeply(ctx, work)


@make_job(name="deaf", grace_ms=GRACE_MS, backoff=_BACKOFF, keep_completed=_ALL, keep_failed=_ALL)
async def deaf(ctx: JobContext, work: Work) -> None:
    """Goes on whatever it is told."""
    ledger = Ledger.of_environment()
    ledger.start(ctx)
    ends_at_s = time.monotonic() + work.work_ms / 1000
    while (left_s := ends_at_s - time.monotonic()) > 0:
        try:
            await asyncio.sleep(left_s)  # the work
        except asyncio.CancelledError:
            continue
    ledger.end(ctx, "finished")


@make_job(name="graceful", grace_ms=GRACE_MS, backoff=_BACKOFF, keep_completed=_ALL, keep_failed=_ALL)
async def graceful(ctx: JobContext, work: Work) -> None:
    """Works until it is told to stop, and then uses up its grace."""
    ledger = Ledger.of_environment()
    ledger.start(ctx)
    await ctx.signal.wait()
    ledger.write("told", ctx.job.id, ctx.job.attempts_started)
    await asyncio.sleep(work.work_ms / 1000)  # the work


HANDLERS: Final = (in_task, in_thread, in_process, blocking, deaf, graceful)
registry = Registry(HANDLERS)


def heirs(ledger: Ledger) -> Registry:
    """The same names for the worker that comes after: it does their work in no time."""

    async def inherit(ctx: JobContext, work: Work) -> None:
        ledger.start(ctx, "heir")
        ledger.end(ctx, "finished")

    return Registry(make_job(inherit, name=one.name, keep_completed=_ALL, keep_failed=_ALL) for one in HANDLERS)
