"""Resuming: when each worker is at work again, and cron jobs that are always due."""

from __future__ import annotations

from typing import Final

from jobqueue.cron import CronJobs
from scripts.chaos.crew import Crew
from scripts.chaos.ground import Ground, NeverQuiet

GIVES_UP_S: Final = 30.0


async def all_work(site: Ground, crew: Crew, from_byte: int = 0, ended_us: int = 0) -> list[float]:
    """Wait until each worker has begun a run since the ledger had that size; returns after how many seconds it did.

    A worker that takes too long counts as what was waited for it. There must be more work than the others can do.
    """
    first: dict[int, float] = {}

    def all_have() -> bool:
        for entry in site.ledger.entries(from_byte):
            if entry.what == "start":
                first.setdefault(entry.pid, (entry.at_us - ended_us) / 1e6)
        return all(pid in first for pid in crew.pids)

    try:
        await site.until(all_have, GIVES_UP_S, "every worker is at work")
    except NeverQuiet:
        first |= {pid: GIVES_UP_S for pid in crew.pids if pid not in first}
    return [*first.values()]


async def create_each_second(table: CronJobs) -> None:
    """Two cron jobs of each second: one that skips what overlaps, one that does not."""
    await table.create(name="each-skip", pattern="* * * * * *", handler="slot", payload=["each-skip", 50])
    await table.create(
        name="each-allow", pattern="* * * * * *", handler="slot", payload=["each-allow", 50], overlap="allow"
    )


async def stop_cron(table: CronJobs) -> None:
    """Disable all rows."""
    for row in await table.list():
        await table.update(row.id, enabled=False)
