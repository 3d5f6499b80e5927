"""The handlers of one queue that has every pattern at once: each works a moment, and says so in the ledger."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from jobqueue import JobContext, Registry, fixed, limit, make_job, make_singleton_job, make_superseding_job
from jobqueue.job import Keep
from scripts.chaos.ledger import Ledger
from scripts.chaos.steps import step

ALL: Final = Keep()
CLAIMS: Final = 100


class Piece(NamedTuple):
    """One job: what it is apart from others by, and how long it works."""

    key: str
    work_ms: int


def _key(piece: Piece) -> str:
    return piece.key


async def _work(ctx: JobContext, piece: Piece) -> str:
    ledger, how = Ledger.of_environment(), "cut"
    ledger.start(ctx, f"{ctx.job.name}:{piece.key}")
    try:
        ctx.log(f"working at {piece.key}")
        await asyncio.sleep(piece.work_ms / 1000)  # the work
        how = "finished"
    finally:
        ledger.end(ctx, how)
    return piece.key


@make_superseding_job(
    dedupe_key=_key, backoff=fixed(30), grace_ms=100, max_claims=CLAIMS, keep_completed=ALL, keep_failed=ALL
)
async def newest(ctx: JobContext, piece: Piece) -> str:
    """The newest of a lane."""
    return await _work(ctx, piece)


@make_singleton_job(key=_key, on_busy="wait", backoff=fixed(30), max_claims=CLAIMS, keep_completed=ALL, keep_failed=ALL)
async def single(ctx: JobContext, piece: Piece) -> str:
    """One at a time."""
    return await _work(ctx, piece)


@make_job(concurrency=limit(2, by=_key), max_claims=CLAIMS, keep_completed=ALL, keep_failed=ALL)
async def limited(ctx: JobContext, piece: Piece) -> str:
    """Two at a time."""
    return await _work(ctx, piece)


@make_job(rate_limit=(40, 1_000), max_claims=CLAIMS, keep_completed=ALL, keep_failed=ALL)
async def rated(ctx: JobContext, piece: Piece) -> str:
    """Forty a second."""
    return await _work(ctx, piece)


@make_job(duplicates="reject", max_claims=CLAIMS, keep_completed=ALL, keep_failed=ALL)
async def unlike(ctx: JobContext, piece: Piece) -> str:
    """None beside an unfinished one about the same object."""
    return await _work(ctx, piece)


@make_job(max_claims=CLAIMS, keep_completed=ALL, keep_failed=ALL)
async def plain(ctx: JobContext, piece: Piece) -> str:
    """By itself, or as a parent or a child of others."""
    return await _work(ctx, piece)


registry = Registry([newest, single, limited, rated, unlike, plain, step])
