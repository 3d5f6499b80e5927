"""What tests of a worker's figures share: jobs that have ended, a flush, and what it left in Redis."""

from __future__ import annotations

from collections import defaultdict

from jobqueue import App, Registry
from jobqueue.job import Job
from jobqueue.settings import Settings
from jobqueue.statistics import (
    COMPLETED,
    FAILED,
    RETRIED,
    Counts,
    sum_of_rows,
)
from jobqueue.wire import decode_job, pairs
from jobqueue.worker.outcomes import (
    Completed,
)
from jobqueue.worker.statistics import Figures, StatisticsFlush
from tests.worker.harness import keys_of

DONE = Completed("null")


def job_of(name: str = "work", *, waited_ms: int = 0, tries: int = 1, delay_ms: int = 0) -> Job:
    """A job that was picked up so long after it was due."""
    fields = {"name": name, "data": "{}", "timestamp": "1000000", "ats": str(tries), "opts": f'{{"delay": {delay_ms}}}'}
    return decode_job("jobs", "1", fields | {"processedOn": str(1_000_000 + delay_ms + waited_ms)})


async def kept(ours: Settings, word: str = "minute") -> dict[str, Counts]:
    """What is in Redis, by handler, over all minutes (or hours, or quarters of a day)."""
    rows: defaultdict[str, list[str]] = defaultdict(list)
    async with app_of(ours.model_copy(update={"redis_connect_ms": 10_000})) as app:
        for key in await app.client.call("KEYS", f"{keys_of(ours).base}job:stats:{word}-*"):
            for name, row in pairs(await app.client.call("HGETALL", key)).items():
                rows[name].append(row)
    return {name: sum_of_rows(of_name) for name, of_name in rows.items()}


def ended(counts: Counts) -> tuple[int, int, int]:
    return counts.get(COMPLETED, 0), counts.get(FAILED, 0), counts.get(RETRIED, 0)


def app_of(ours: Settings) -> App:
    return App(Registry(()), ours)


def flush_of(app: App, figures: Figures, started: str = "w1") -> StatisticsFlush:
    return StatisticsFlush(app.queue(), figures, started)
