"""The handlers of R18, for two versions of this library: one of every pattern, which Node knows by name."""

from __future__ import annotations

import asyncio
import os
from typing import Final, NamedTuple

from jobqueue import JobContext, Registry, fixed, make_job, make_singleton_job, make_superseding_job
from jobqueue.job import Keep
from scripts.chaos.ledger import Ledger

WHO: Final = "CHAOS_WHO"
"""The environment variable that tells a process which of the workers or producers it is."""
_ALL: Final = Keep()


class Item(NamedTuple):
    """What a job is about, and how long that takes."""

    key: str
    work_ms: int


class NotYet(Exception):
    """What the first try of some jobs says."""


def _key(item: Item) -> str:
    return item.key


async def _work(ctx: JobContext, item: Item, *, fails_first: bool = False) -> str:
    ledger, who = Ledger.of_environment(), os.environ[WHO]
    ledger.start(ctx, item.key, who)
    await asyncio.sleep(item.work_ms / 1000)  # the work
    if fails_first and ctx.job.attempt == 1:
        ledger.end(ctx, "failed")
        raise NotYet(who)
    ledger.end(ctx, "finished")
    return who


@make_job(name="plain", keep_completed=_ALL, keep_failed=_ALL)
async def plain(ctx: JobContext, item: Item) -> str:
    """Runs; also with a delay, a priority or an order key."""
    return await _work(ctx, item)


@make_job(name="flaky", attempts=3, backoff=fixed(100), keep_completed=_ALL, keep_failed=_ALL)
async def flaky(ctx: JobContext, item: Item) -> str:
    """Runs at the second try."""
    return await _work(ctx, item, fails_first=True)


@make_singleton_job(key=_key, on_busy="wait", name="single", backoff=fixed(20), keep_completed=_ALL, keep_failed=_ALL)
async def single(ctx: JobContext, item: Item) -> str:
    """Runs alone among ours."""
    return await _work(ctx, item)


@make_superseding_job(dedupe_key=_key, name="latest", keep_completed=_ALL, keep_failed=_ALL)
async def latest(ctx: JobContext, item: Item) -> str:
    """Gives way to a newer one."""
    return await _work(ctx, item)


@make_job(name="tick", keep_completed=_ALL, keep_failed=_ALL)
async def tick(ctx: JobContext, item: Item) -> str:
    """A slot of a cron job."""
    return await _work(ctx, item)


registry = Registry([plain, flaky, single, latest, tick])
