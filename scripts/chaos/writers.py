"""Writers: the processes that edit cron jobs at once, started again as often as they are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from scripts.chaos.crew import PROJECT
from scripts.chaos.ground import Ground
from scripts.chaos.ledger import VARIABLE

_KILLED = -signal.SIGKILL


class WritersFailed(AssertionError):
    """A process of writers ended with an error; its words are in its log."""


class Share(NamedTuple):
    """The writers of one process, by their numbers, and what each is to do."""

    first: int
    writers: int
    edits: int
    rows: int


async def write_all(site: Ground, shares: list[Share]) -> int:
    """Let all of them write until they are done; returns how many processes were killed. Raises: WritersFailed."""
    return sum(await asyncio.gather(*(_write(site, share) for share in shares)))


async def _write(site: Ground, share: Share) -> int:
    killed = 0
    while (status := await _run(site, share)) != 0:
        if status != _KILLED:
            said = _log(site, share).read_text(encoding="utf-8", errors="replace")
            raise WritersFailed(f"writers {share.first} and on ended with {status}:\n{said[-4_000:]}")
        killed += 1
    return killed


async def _run(site: Ground, share: Share) -> int:
    environment = {
        "PATH": os.environ["PATH"],
        "REDIS_URL": site.settings.redis_url,
        "DATABASE_URL": site.settings.database_url,
        "JOBS_PREFIX": site.settings.jobs_prefix,
        "JOBS_QUEUE": site.settings.jobs_queue,
        "JOBS_REGISTRY": site.registry_name,
        VARIABLE: str(site.ledger.path),
    }
    with _log(site, share).open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "scripts.chaos.edits"),
            *map(str, (*share, site.seed)),
            cwd=PROJECT,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return await process.wait()


def _log(site: Ground, share: Share) -> Path:
    return site.folder / f"writers-{share.first}.log"
