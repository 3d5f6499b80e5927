"""The handler of R6 and R6C: jobs that are told apart by a number of their own.

Their ids do not tell them apart: a replica that takes over without the last ids gives them out a second time.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from jobqueue import JobContext, Registry, fixed, make_job
from jobqueue.job import Keep
from scripts.chaos.ledger import Ledger, clock_us


class Numbered(NamedTuple):
    """One job of the load."""

    number: int
    work_ms: int


@make_job(name="numbered", attempts=3, backoff=fixed(50), max_claims=100, keep_completed=Keep(), keep_failed=Keep())
async def numbered(ctx: JobContext, one: Numbered) -> int:
    """Work. In the ledger the number stands for the job and the moment of its start for the claim: what a replica has
    not heard of is claimed as if for the first time, so counts of claims do not tell runs apart either.
    """
    ledger, number, run, how = Ledger.of_environment(), str(one.number), clock_us(), "cut"
    ledger.write("start", number, run, note=ctx.job.id)
    try:
        await asyncio.sleep(one.work_ms / 1000)  # the work
        how = "finished"
        return one.number
    finally:
        ledger.write("end", number, run, key=how)


registry = Registry([numbered])
