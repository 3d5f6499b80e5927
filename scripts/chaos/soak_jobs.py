"""The jobs of R19: short ones of every kind, as they are drawn, and the handlers that run them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from itertools import count
from typing import Final, Literal, NamedTuple

from jobqueue import JobContext, Registry, fixed, make_job, make_singleton_job, make_superseding_job
from jobqueue.job import EnqueueOptions, Keep
from scripts.chaos.ledger import Ledger

Kind = Literal["plain", "delayed", "ordered", "latest", "alone", "cron"]
Manner = Literal["works", "fails once", "fails"]

ATTEMPTS: Final = 3
TRIES: Final[dict[Manner, int]] = {"works": 1, "fails once": 2, "fails": ATTEMPTS}
_KEEP_COMPLETED: Final = Keep(count=100)
_KEEP_FAILED: Final = Keep(count=20)
"""As many end in the first seconds and minutes of a soak, so that what is kept does not grow after them."""

_KINDS: Final[tuple[Kind, ...]] = ("plain", "delayed", "ordered", "latest", "alone")
_WEIGHTS: Final = (80, 10, 3, 1, 1)
_BURST: Final[dict[Kind, int]] = {"ordered": 4, "latest": 4, "alone": 2}
_LOCKS: Final = 3
_MOST_DELAY_MS: Final = 2_000
_FAILS_ONCE, _FAILS = 0.007, 0.003


class Chore(NamedTuple):
    """One job. `group` is its order key, its lane or the key of its lock."""

    kind: Kind
    group: str
    work_ms: int
    manner: Manner


def chores(chance: random.Random) -> Iterator[Chore]:
    """Jobs without end. Order keys and lanes are new ones all the time; a group's jobs come right after another."""
    for number in count():
        [kind] = chance.choices(_KINDS, _WEIGHTS)
        group = f"key-{number % _LOCKS}" if kind == "alone" else f"{kind}-{number}"
        for _ in range(_BURST.get(kind, 1)):
            yield Chore(kind, group, chance.randint(5, 30), _manner(kind, chance.random()))


def _manner(kind: Kind, drawn: float) -> Manner:
    if kind == "latest":  # a superseded one must not look as one that failed
        return "works"
    return "fails" if drawn < _FAILS else "fails once" if drawn < _FAILS + _FAILS_ONCE else "works"


def options_of(chore: Chore, chance: random.Random) -> EnqueueOptions:
    """What is asked for a chore when it is enqueued."""
    if chore.kind == "delayed":
        return {"delay_ms": chance.randrange(_MOST_DELAY_MS)}
    if chore.kind == "ordered":
        return {"order_key": chore.group, "related": ("group", chore.group)}
    return {}


def _group(chore: Chore) -> str:
    return chore.group


async def _do(ctx: JobContext, chore: Chore) -> str:
    """Work; the ledger gets `finished`, `told`, `failed` or, at the last try, `failed for good`."""
    ledger, how = Ledger.of_environment(), "cut"
    ledger.start(ctx, chore.kind, chore.group)
    try:
        ctx.log("at work")
        await asyncio.sleep(chore.work_ms / 1000)  # the work
        ctx.progress(100)
        if ctx.job.attempt < TRIES[chore.manner] or chore.manner == "fails":
            how = "failed for good" if ctx.job.attempt >= ATTEMPTS else "failed"
            raise RuntimeError(chore.manner)
        how = "told" if ctx.signal.aborted else "finished"
        return "done"
    finally:
        ledger.end(ctx, how)


@make_job(name="chore", attempts=ATTEMPTS, backoff=fixed(200), keep_completed=_KEEP_COMPLETED, keep_failed=_KEEP_FAILED)
async def chore(ctx: JobContext, chore: Chore) -> str:
    """A plain one, a delayed one, one of an order key, or a slot of a cron job."""
    return await _do(ctx, chore)


@make_superseding_job(
    dedupe_key=_group,
    name="latest",
    attempts=ATTEMPTS,
    backoff=fixed(200),
    keep_completed=_KEEP_COMPLETED,
    keep_failed=_KEEP_FAILED,
)
async def latest(ctx: JobContext, chore: Chore) -> str:
    """One of a lane."""
    return await _do(ctx, chore)


@make_singleton_job(
    key=_group,
    on_busy="wait",
    name="alone",
    attempts=ATTEMPTS,
    backoff=fixed(200),
    keep_completed=_KEEP_COMPLETED,
    keep_failed=_KEEP_FAILED,
)
async def alone(ctx: JobContext, chore: Chore) -> str:
    """One under a lock."""
    return await _do(ctx, chore)


registry = Registry([chore, latest, alone])
