"""The handler of R21: jobs of an order key that succeed, fail once, or fail for good."""

from __future__ import annotations

import asyncio
from typing import Final, Literal, NamedTuple

from jobqueue import JobContext, Registry, fixed, make_job
from jobqueue.job import Keep
from scripts.chaos.ledger import Ledger

Manner = Literal["works", "fails once", "fails"]
ATTEMPTS: Final = 2


class Step(NamedTuple):
    """One job of a key."""

    key: str
    number: int
    work_ms: int
    manner: Manner


@make_job(name="step", attempts=ATTEMPTS, backoff=fixed(30), max_claims=100, keep_completed=Keep(), keep_failed=Keep())
async def step(ctx: JobContext, step: Step) -> int:
    """Work; the ledger gets `finished`, `failed` or, at the last try, `failed for good`."""
    ledger, how = Ledger.of_environment(), "cut"
    ledger.start(ctx, step.key, str(step.number))
    try:
        await asyncio.sleep(step.work_ms / 1000)  # the work
        is_last = ctx.job.attempt >= ATTEMPTS
        if step.manner == "fails" or (step.manner == "fails once" and not is_last):
            how = "failed for good" if is_last else "failed"
            raise RuntimeError(step.manner)
        how = "finished"
        return step.number
    finally:
        ledger.end(ctx, how)


registry = Registry([step])
