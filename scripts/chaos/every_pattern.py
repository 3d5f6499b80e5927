"""The handlers of R4 and R5: one of each pattern, and jobs whose first try fails. None is slow, none fails for good."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from jobqueue import (
    Handler,
    JobContext,
    Registry,
    Snooze,
    fixed,
    make_job,
    make_singleton_job,
    make_superseding_job,
)
from jobqueue.job import Keep
from scripts.chaos.ledger import Ledger
from scripts.chaos.slots import slot

_ALL: Final = Keep()
_RETRY_MS: Final = 100
SNOOZED_MS: Final = 100


class Errand(NamedTuple):
    """What a run does. `key` is that of the pattern, `number` counts the jobs; the first `fails` tries fail."""

    key: str
    number: int
    work_ms: int
    fails: int = 0


def _key(errand: Errand) -> str:
    return errand.key


async def _run(ctx: JobContext, errand: Errand, number: int) -> int:
    """Work; returns the number of the claim. The ledger gets `finished`, `failed`, `told` or `cut`."""
    ledger, how = Ledger.of_environment(), "cut"
    ledger.start(ctx, errand.key, str(errand.number))
    try:
        await asyncio.sleep(errand.work_ms / 1000)  # the work
        if ctx.signal.aborted:
            how = "told"
            ctx.raise_if_cancelled()
        if number <= errand.fails:
            how = "failed"
            raise RuntimeError("the first try fails")
        how = "finished"
        return ctx.job.attempts_started
    finally:
        ledger.end(ctx, how)


@make_job(name="plain", attempts=2, backoff=fixed(_RETRY_MS), keep_completed=_ALL, keep_failed=_ALL)
async def plain(ctx: JobContext, errand: Errand) -> int:
    """Nothing but a job."""
    return await _run(ctx, errand, ctx.job.attempt)


@make_job(name="atOnce", attempts=2, backoff=fixed(0), keep_completed=_ALL, keep_failed=_ALL)
async def at_once(ctx: JobContext, errand: Errand) -> int:
    """A failed try is followed by the next without a delay."""
    return await _run(ctx, errand, ctx.job.attempt)


@make_job(name="snoozing", attempts=1, keep_completed=_ALL, keep_failed=_ALL)
async def snoozing(ctx: JobContext, errand: Errand) -> int:
    """What would fail is put off, which uses no attempt."""
    try:
        return await _run(ctx, errand, ctx.job.attempts_started)
    except RuntimeError:
        raise Snooze(SNOOZED_MS) from None


@make_singleton_job(key=_key, on_busy="wait", name="alone", attempts=1, keep_completed=_ALL, keep_failed=_ALL)
async def alone(ctx: JobContext, errand: Errand) -> int:
    """One run of a key at a time."""
    return await _run(ctx, errand, ctx.job.attempt)


@make_superseding_job(dedupe_key=_key, name="newest", attempts=1, keep_completed=_ALL, keep_failed=_ALL)
async def newest(ctx: JobContext, errand: Errand) -> int:
    """Only the newest of a key counts."""
    return await _run(ctx, errand, ctx.job.attempt)


@make_job(name="inOrder", attempts=2, backoff=fixed(_RETRY_MS), keep_completed=_ALL, keep_failed=_ALL)
async def in_order(ctx: JobContext, errand: Errand) -> int:
    """One after another, by the order key that it is enqueued with."""
    return await _run(ctx, errand, ctx.job.attempt)


@make_job(name="limited", concurrency=3, attempts=1, keep_completed=_ALL, keep_failed=_ALL)
async def limited(ctx: JobContext, errand: Errand) -> int:
    """Three at a time over all workers."""
    return await _run(ctx, errand, ctx.job.attempt)


HANDLERS: Final[tuple[Handler[Errand], ...]] = (plain, at_once, snoozing, alone, newest, in_order, limited)
FAILING: Final = frozenset({plain.name, at_once.name, snoozing.name, in_order.name})
"""Those of which some jobs run twice because the first run fails, or is put off."""

registry = Registry([*HANDLERS, slot])
