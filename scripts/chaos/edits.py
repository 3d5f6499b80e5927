"""A process of writers: `python -m scripts.chaos.edits FIRST WRITERS EDITS ROWS SEED`. They edit cron jobs.

Most edits go by the API, some are raw SQL, and some kill the process between the commit and what would follow in Redis.
A process that is started again goes on where its writers were, by the ledger.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, event, insert, update
from sqlalchemy.orm import Session

from jobqueue import App
from jobqueue.cron import CronFields, CronJobs
from jobqueue.cron.table import CronJobRow, Overlap
from jobqueue.database import Database, open_database
from jobqueue.errors import CronJobNotFound, DuplicateCronJob
from jobqueue.registry import load_registry
from jobqueue.settings import Settings
from scripts.chaos.cron_rows import edited_id, raw_row
from scripts.chaos.ledger import Ledger

PATTERNS: Final = (
    *("* * * * * *", "*/2 * * * * *", "*/5 * * * * *", "30 * * * * *", "* * * * *", "*/7 * * * *"),
    *("0 3 * * *", "15 2 * * 1-5", "0 0 1 1 *", "@daily", "0 9 L * *"),
)
ZONES: Final = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe")
OVERLAPS: Final[tuple[Overlap, ...]] = ("skip", "queue", "allow")
DOOMED_PART: Final = 0.02

_is_doomed: ContextVar[bool] = ContextVar("_is_doomed", default=False)


@dataclass(frozen=True, slots=True)
class Writer:
    """One writer. Its edits are drawn from the seed, its number and the number of the edit, so that none is lost."""

    number: int
    seed: int
    rows: int
    table: CronJobs
    database: Database
    ledger: Ledger

    async def write(self, first: int, end: int) -> None:
        """Its edits from one number to another."""
        for number in range(first, end):
            chance = random.Random(f"{self.seed}/{self.number}/{number}")
            action, job_id = chance.choice(ACTIONS), edited_id(chance.randrange(self.rows))
            _is_doomed.set(chance.random() < DOOMED_PART and action in MAY_DIE)
            if _is_doomed.get():
                self._note("doomed", action, number)
            with suppress(CronJobNotFound, DuplicateCronJob):  # another writer was first
                await _DO[action](self, job_id, chance)
            if not _is_doomed.get():  # else nothing had changed, and there was nothing to commit
                self._note("edit", action, number)
            _is_doomed.set(False)

    def _note(self, what: str, action: str, number: int) -> None:
        self.ledger.write(what, str(self.number), number, key=action)

    async def create(self, job_id: str, chance: random.Random) -> None:
        fields: CronFields = {**_fields(chance), "job_id": job_id, "name": job_id, "enabled": chance.random() < 0.8}
        await self.table.create(**fields)

    async def update(self, job_id: str, chance: random.Random) -> None:
        row = await self.table.find(job_id)
        await self.table.update(row.id, **_fields(chance))

    async def disable(self, job_id: str, chance: random.Random) -> None:
        row = await self.table.find(job_id)
        await self.table.update(row.id, enabled=False)

    async def enable(self, job_id: str, chance: random.Random) -> None:
        row = await self.table.find(job_id)
        await self.table.update(row.id, enabled=True)

    async def delete(self, job_id: str, chance: random.Random) -> None:
        row = await self.table.find(job_id)
        await self.table.delete(row.id)

    async def raw_change(self, job_id: str, chance: random.Random) -> None:
        changes = {"pattern": chance.choice(PATTERNS), "enabled": chance.random() < 0.8}
        async with self.database.transaction() as session:
            await session.execute(update(CronJobRow).where(CronJobRow.job_id == job_id).values(**changes))

    async def raw_replace(self, job_id: str, chance: random.Random) -> None:
        """Another row takes the scheduler's id."""
        async with self.database.transaction() as session:
            gone = await session.execute(delete(CronJobRow).where(CronJobRow.job_id == job_id).returning(CronJobRow.id))
            if gone.scalars().all():
                await session.execute(insert(CronJobRow).values(**raw_row(job_id, chance.choice(PATTERNS))))


_DO: Final[dict[str, Callable[[Writer, str, random.Random], Awaitable[None]]]] = {
    "create": Writer.create,
    "update": Writer.update,
    "disable": Writer.disable,
    "enable": Writer.enable,
    "delete": Writer.delete,
    "raw change": Writer.raw_change,
    "raw replace": Writer.raw_replace,
}
ACTIONS: Final = ("create", "create", *("update",) * 4, "disable", "enable", "delete", "raw change", "raw replace")
MAY_DIE: Final = ("create", "update", "disable", "enable", "delete")


def _fields(chance: random.Random) -> CronFields:
    return {
        "pattern": chance.choice(PATTERNS),
        "timezone": chance.choice(ZONES),
        "handler": chance.choice(("slot", "fleeting")),
        "payload": [f"kind-{chance.randrange(3)}", chance.randrange(50)],
        "priority": chance.choice((0, 0, 5)),
        "max_attempts": chance.randint(1, 4),
        "backoff_ms": chance.choice((0, 100, 5_000)),
        "overlap": chance.choice(OVERLAPS),
        "misfire": "skip" if chance.random() < 0.3 else "run_once",
    }


def _has_written(session: Session, context: object) -> None:
    session.info["has written"] = True


def _die_if_doomed(session: Session) -> None:
    """The database has answered that it is committed; nobody else has been told yet."""
    if _is_doomed.get() and session.info.get("has written"):
        os.kill(os.getpid(), signal.SIGKILL)


async def main(first: int, writers: int, edits: int, rows: int, seed: int) -> None:
    """Let the writers of this process do what they have not done yet."""
    settings, ledger = Settings.load(), Ledger.of_environment()
    done = Counter(entry.job_id for entry in ledger.entries() if entry.what in ("edit", "doomed"))
    event.listen(Session, "after_flush", _has_written)
    event.listen(Session, "after_commit", _die_if_doomed)
    async with (
        App(load_registry(settings.jobs_registry), settings) as app,
        open_database(settings.database_url) as database,
    ):
        table = CronJobs(app, database)
        several = [Writer(number, seed, rows, table, database, ledger) for number in range(first, first + writers)]
        await asyncio.gather(*(writer.write(done[str(writer.number)], edits) for writer in several))


if __name__ == "__main__":
    asyncio.run(main(*(int(number) for number in sys.argv[1:])))
