"""The handler of R15: superseding jobs that obey, are deaf, or fail."""

from __future__ import annotations

import asyncio
from typing import Literal, NamedTuple

from jobqueue import JobContext, Registry, fixed, make_superseding_job
from jobqueue.job import Keep
from scripts.chaos.ledger import Ledger

Manner = Literal["obeys", "deaf", "fails"]


class Gust(NamedTuple):
    """One job of a storm."""

    lane: str
    number: int
    work_ms: int
    manner: Manner


def _lane(gust: Gust) -> str:
    return gust.lane


@make_superseding_job(
    dedupe_key=_lane,
    name="storm",
    attempts=3,
    backoff=fixed(50),
    grace_ms=200,
    max_claims=100,
    keep_completed=Keep(),
    keep_failed=Keep(),
)
async def storm(ctx: JobContext, gust: Gust) -> int:
    """Work; the ledger gets how it ended: finished, told, failed, or cut off by a cancellation."""
    ledger, how = Ledger.of_environment(), "cut"
    ledger.start(ctx, gust.lane)
    try:
        how = await _work(ctx, gust)
    finally:
        ledger.end(ctx, how)
    if how == "failed":
        raise RuntimeError("the first try fails")
    ctx.raise_if_cancelled()
    return gust.number


async def _work(ctx: JobContext, gust: Gust) -> str:
    if gust.manner == "deaf":
        await asyncio.sleep(gust.work_ms / 1000)  # the work
    else:
        try:
            async with asyncio.timeout(gust.work_ms / 1000):
                await ctx.signal.wait()
        except TimeoutError:
            if gust.manner == "fails" and ctx.job.attempts_made == 0:
                return "failed"
    return "told" if ctx.signal.aborted else "finished"


registry = Registry([storm])
