"""The handlers of R16: singletons that write to a fenced resource; they skip, wait, or kill their process."""

from __future__ import annotations

import asyncio
import os
from typing import Final, NamedTuple

from jobqueue import JobContext, Registry, fixed, make_singleton_job
from jobqueue.job import Keep
from scripts.chaos import resource
from scripts.chaos.ledger import Ledger

WRITES: Final = 3
_ALL: Final = Keep()


class Turn(NamedTuple):
    """One contender's turn."""

    key: str
    hold_ms: int
    deadly: bool = False


class Refused(Exception):
    """The resource has seen a greater fence."""


def _key(turn: Turn) -> str:
    return turn.key


async def _take_turn(ctx: JobContext, turn: Turn) -> int:
    """Write at the beginning, in the middle and at the end; returns the fence."""
    ledger, how, fence = Ledger.of_environment(), "cut", ctx.fence or 0
    identity = f"{ctx.job.name}:{turn.key}"
    ledger.start(ctx, identity, str(fence))
    if turn.deadly:
        os._exit(5)
    try:
        for number in range(WRITES):
            if number:
                await asyncio.sleep(turn.hold_ms / 1000 / (WRITES - 1))  # the work
            if not await resource.write(ledger.path.parent, identity, fence, ctx.job.id, ctx.job.attempts_started):
                how = "refused"
                raise Refused(f"fence {fence} is too old")
        how = "finished"
        return fence
    finally:
        ledger.end(ctx, how)


@make_singleton_job(
    key=_key, on_busy="skip", name="skip", backoff=fixed(50), max_claims=100, keep_completed=_ALL, keep_failed=_ALL
)
async def skip(ctx: JobContext, turn: Turn) -> int:
    """Take a turn, or none."""
    return await _take_turn(ctx, turn)


@make_singleton_job(
    key=_key, on_busy="wait", name="wait", backoff=fixed(50), max_claims=100, keep_completed=_ALL, keep_failed=_ALL
)
async def wait(ctx: JobContext, turn: Turn) -> int:
    """Take a turn sooner or later."""
    return await _take_turn(ctx, turn)


@make_singleton_job(key=_key, on_busy="wait", name="doomed", max_claims=3, keep_completed=_ALL)
async def doomed(ctx: JobContext, turn: Turn) -> int:
    """Take a turn; who kills his process three times leaves the lock behind."""
    return await _take_turn(ctx, turn)


registry = Registry([skip, wait, doomed])
