"""Cron: what a worker does for cron beside running jobs: the sync, and the repair of what would stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from jobqueue.app import App
from jobqueue.background import Periodic
from jobqueue.cron import schedulers
from jobqueue.cron.schedulers import Lost
from jobqueue.cron.seeding import seed
from jobqueue.cron.sync import Sync
from jobqueue.database import Database
from jobqueue.errors import DatabaseUnavailable, JobNotFound, MalformedJob
from jobqueue.queue import Queue
from jobqueue.worker.schedulers import advance

_log = logging.getLogger("jobqueue.cron")

SYNC_S: Final = 28.0
"""So that with its own time a pass comes round within half a minute."""
REPAIR_S: Final = 1.0
DATABASE_AWAY_S: Final = 5.0


class CronSync(Periodic):
    """Puts the rows that handlers bring along into the table, at start, and makes the schedulers equal to it, at start
    and every half minute.

    What is wrong with a row is said when it becomes so, not in each pass.
    """

    def __init__(self, app: App, database: Database, sync: Sync) -> None:
        super().__init__()
        self._app = app
        self._database = database
        self._sync = sync
        self._is_seeded = False
        self._said: dict[str, str] = {}

    async def tick(self) -> float:
        try:
            if not self._is_seeded:
                for name in await seed(self._database, self._app.registry, self._app.enqueuer):
                    _log.info("cron job %s is seeded", name)
                self._is_seeded = True
            report = await self._sync.run()
        except DatabaseUnavailable as error:
            self._say({"": f"cron jobs are not looked after: {error}"})
            return DATABASE_AWAY_S
        self._say({job_id: f"cron job {job_id} is left as it was: {why}" for job_id, why in report.refused.items()})
        return SYNC_S

    def _say(self, problems: dict[str, str]) -> None:
        for which, problem in problems.items():
            if self._said.get(which) != problem:
                _log.error("%s", problem)
        if "" in self._said and "" not in problems:
            _log.info("cron jobs are looked after again")
        self._said = problems


class SchedulerRepair(Periodic):
    """Makes the next iteration of schedulers of ours that would stop: the worker that picked up their job died before
    it made the next one, or somebody removed that.
    """

    def __init__(self, queue: Queue, sync: Sync) -> None:
        super().__init__()
        self._queue = queue
        self._sync = sync
        self._given_up_until_s: dict[Lost, float] = {}

    async def tick(self) -> float:
        now_s = time.monotonic()
        self._given_up_until_s = {one: until_s for one, until_s in self._given_up_until_s.items() if until_s > now_s}
        lost = [one for one in await schedulers.lost_iterations(self._queue) or () if one not in self._given_up_until_s]
        if lost:
            mended = {one for one in lost if one.job_id is not None and await self._advance(one.job_id)}
            mended |= await self._put_back([one for one in lost if one.job_id is None])
            for one in mended:
                _log.warning("scheduler %s of queue %s had lost its next job", one.scheduler_id, self._queue.name)
            self._given_up_until_s |= dict.fromkeys(set(lost) - mended, now_s + SYNC_S)
        return REPAIR_S

    async def _advance(self, job_id: str) -> bool:
        """False also where its worker has been slow, and has done it by now."""
        try:
            return await advance(self._queue, await self._queue.job(job_id))
        except (JobNotFound, MalformedJob) as error:
            _log.error("job %s of queue %s makes no next one: %s", job_id, self._queue.name, error)
            return False

    async def _put_back(self, gone: Sequence[Lost]) -> set[Lost]:
        """A whole pass mends them, but for those of a handler that is not known here; while the database is away, none.

        Raises: RedisUnavailable and its kin.
        """
        if not gone:
            return set()
        try:
            report = await self._sync.run()
        except DatabaseUnavailable:
            return set()  # which the sync says
        return {one for one in gone if one.scheduler_id in report.added or one.scheduler_id in report.replaced}
