"""The handlers of R8: they hold on until a file says that this very run may end, whatever they are told meanwhile."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from jobqueue import JobContext, Registry, fixed, make_job, make_singleton_job
from scripts.chaos.ledger import Ledger

NEVER_MS = 600_000


def gate(folder: Path, job_id: str, claim: int) -> Path:
    """The file whose existence lets a run end."""
    return folder / f"gate-{job_id}-{claim}"


async def _hold(ctx: JobContext, key: str) -> int:
    """Wait at the gate, deaf to every signal; returns the process."""
    ledger = Ledger.of_environment()
    ledger.start(ctx, key, str(ctx.fence or ""))
    opened = gate(ledger.path.parent, ctx.job.id, ctx.job.attempts_started)
    while True:
        if opened.exists():
            ledger.end(ctx, "finished")
            return os.getpid()
        await asyncio.sleep(0.01)  # a poll of a file


@make_job(name="holdPlain", backoff=fixed(50), grace_ms=NEVER_MS, max_claims=10)
async def hold_plain(ctx: JobContext, key: str) -> int:
    """Hold nothing but the job's own lock."""
    return await _hold(ctx, key)


def _key(key: str) -> str:
    return key


@make_singleton_job(key=_key, on_busy="wait", name="holdAlone", backoff=fixed(50), grace_ms=NEVER_MS, max_claims=10)
async def hold_alone(ctx: JobContext, key: str) -> int:
    """Hold a singleton's lock too."""
    return await _hold(ctx, key)


registry = Registry([hold_plain, hold_alone])
