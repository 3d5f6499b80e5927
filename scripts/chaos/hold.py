"""The handlers of R8: they hold on until a file says that this very run may end, whatever they are told meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

from jobqueue import JobContext, Registry, fixed, limit, make_job, make_singleton_job, make_superseding_job
from jobqueue.errors import JobNotInState, LockLost
from scripts.chaos.ledger import Ledger

NEVER_MS: Final = 600_000
FAR_MS: Final = 3_600_000
REFUSED: Final = "refused"


def gate(folder: Path, job_id: str, claim: int) -> Path:
    """The file whose existence lets a run end."""
    return folder / f"gate-{job_id}-{claim}"


def meddling(folder: Path, job_id: str, claim: int) -> Path:
    """The file that tells a run to change what is its job's no more before it ends."""
    return folder / f"meddle-{job_id}-{claim}"


async def _hold(ctx: JobContext, key: str) -> int:
    """Wait at the gate, deaf to every signal, then log and report the process; returns it."""
    ledger, pid = Ledger.of_environment(), os.getpid()
    folder, claim = ledger.path.parent, ctx.job.attempts_started
    ledger.start(ctx, key, str(ctx.fence or ""))
    while True:
        if gate(folder, ctx.job.id, claim).exists():
            break
        await asyncio.sleep(0.01)  # a poll of a file
    ctx.log(str(pid))
    ctx.progress(pid)
    if meddling(folder, ctx.job.id, claim).exists():
        await _meddle(ctx, ledger, key)
    ledger.end(ctx, "finished")
    return pid


async def _meddle(ctx: JobContext, ledger: Ledger, key: str) -> None:
    """Try to add to the job's children and to take from them; the ledger has what came of it."""
    acts: tuple[tuple[str, Awaitable[object]], ...] = (
        ("a child", ctx.enqueue_child(hold_plain, key, delay_ms=FAR_MS)),
        ("the removal of children", ctx.remove_pending_children()),
    )
    for what, act in acts:
        try:
            await act
            how = "done"
        except (LockLost, JobNotInState):
            how = REFUSED
        ledger.write("meddled", ctx.job.id, ctx.job.attempts_started, key=how, note=what)


def _key(key: str) -> str:
    return key


@make_job(name="holdPlain", backoff=fixed(50), grace_ms=NEVER_MS, max_claims=10)
async def hold_plain(ctx: JobContext, key: str) -> int:
    """Hold nothing but the job's own lock, or what the caller asks for."""
    return await _hold(ctx, key)


@make_singleton_job(key=_key, on_busy="wait", name="holdAlone", backoff=fixed(50), grace_ms=NEVER_MS, max_claims=10)
async def hold_alone(ctx: JobContext, key: str) -> int:
    """Hold a singleton's lock too."""
    return await _hold(ctx, key)


@make_superseding_job(dedupe_key=_key, name="holdLatest", backoff=fixed(50), grace_ms=NEVER_MS, max_claims=10)
async def hold_latest(ctx: JobContext, key: str) -> int:
    """Hold a lane too."""
    return await _hold(ctx, key)


@make_job(name="holdLimited", concurrency=limit(1, by=_key), backoff=fixed(50), grace_ms=NEVER_MS, max_claims=10)
async def hold_limited(ctx: JobContext, key: str) -> int:
    """Hold a place under a limit too."""
    return await _hold(ctx, key)


@make_job(name="holdManual", ack="manual", backoff=fixed(50), grace_ms=NEVER_MS, max_claims=10)
async def hold_manual(ctx: JobContext, key: str) -> int:
    """The job ends when somebody says so, after the run."""
    return await _hold(ctx, key)


@make_job(name="holdParent", backoff=fixed(50), grace_ms=NEVER_MS, max_claims=10)
async def hold_parent(ctx: JobContext, key: str) -> int:
    """Have a child that does not run meanwhile; the job could not complete with it."""
    await ctx.enqueue_child(hold_plain, key, job_id=f"{ctx.job.id}-child", delay_ms=FAR_MS)
    pid = await _hold(ctx, key)
    await ctx.remove_pending_children()
    return pid


@make_job(name="after")
async def after(ctx: JobContext, key: str) -> str:
    """Wait for a child, if only in the queue."""
    return key


registry = Registry([hold_plain, hold_alone, hold_latest, hold_limited, hold_manual, hold_parent, after])
