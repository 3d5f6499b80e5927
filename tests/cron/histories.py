"""Reading the history step by step, and what befalls a queue's events."""

from __future__ import annotations

from typing import Final

from jobqueue import JobContext, make_job
from jobqueue.cron.history import BEHIND_REST_S, CronHistory
from tests.cron.slots import Site

HOUR_MS: Final = 3_600_000


@make_job
async def work(ctx: JobContext) -> str:
    return "done"


def reader(made: Site) -> CronHistory:
    return CronHistory(made.app, made.app.queue(), made.database)


async def read_all(history: CronHistory) -> None:
    """As its loop would, until nothing more waits."""
    while await history.tick() == BEHIND_REST_S:
        continue


async def emit(made: Site, kind: str, job_id: str, **fields: str) -> None:
    """An event as the shipped scripts write it."""
    flat = [part for pair in fields.items() for part in pair]
    await made.app.client.call("XADD", made.app.queue().keys.of("events"), "*", "event", kind, "jobId", job_id, *flat)


async def trim(made: Site) -> None:
    """Every event is lost, as on a queue where others follow too fast."""
    await made.app.client.call("XTRIM", made.app.queue().keys.of("events"), "MAXLEN", 0)


async def give_up_lease(made: Site) -> None:
    """As if the reader had died a while ago."""
    await made.app.client.call("HSET", made.app.queue().keys.cron_history(), "until", 0)


async def by_sql(made: Site, statement: str) -> None:
    """What a person does to the table behind everybody's back."""
    async with made.database.transaction() as session:
        await (await session.connection()).exec_driver_sql(statement)


async def statuses(made: Site) -> list[str | None]:
    """What the rows say, by name."""
    return [row.last_status for row in await made.cron.list()]
