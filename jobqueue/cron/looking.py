"""Looking: what the jobs of cron jobs tell by themselves, for where the events that told it may have been lost."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import select

from jobqueue import wire
from jobqueue.app import App
from jobqueue.clock import now_ms
from jobqueue.cron.past import Kind, Seen, moment_of
from jobqueue.cron.table import CronJobRow, CronQueue
from jobqueue.database import Database
from jobqueue.queue import Queue
from jobqueue.redis.client import Call
from jobqueue.scripts import own

_INTERVAL_S: Final = 1.0
_IN_ONE_CALL: Final = 100
_MOST_DOUBTS: Final = 10_000
"""Runs that are remembered for being looked at; of more, the oldest are forgotten."""
_KINDS: Final[Mapping[str, Kind]] = {
    "completed": "completed",
    "failed": "failed",
    "skipped": "skipped",
    "superseded": "superseded",
    "removed": "removed",
}


class Slots:
    """The slots that the schedulers of one queue wait for. One that is not waited for any more was picked up."""

    def __init__(self, queue: Queue) -> None:
        self.picked_up: dict[str, str] = {}
        """Those that nobody has told of yet. Shape: job id -> row id."""
        self._queue = queue
        self._waited_for: dict[str, str] = {}
        self._next_s = 0.0

    async def follow(self, *, at_once: bool = False) -> None:
        """Otherwise once a second at most: two commands, whatever is in the queue."""
        if time.monotonic() < self._next_s and not at_once:
            return
        self._next_s = time.monotonic() + _INTERVAL_S
        rows = wire.pairs(await self._queue.client.call("HGETALL", self._queue.keys.cron_schedulers()))
        slots = await self._queue.client.call("ZMSCORE", self._queue.keys.of("repeat"), *rows) if rows else ()
        there = zip(rows.items(), slots, strict=True)
        waited_for = {f"repeat:{name}:{int(slot)}": row for (name, row), slot in there if slot is not None}
        self.picked_up |= {job: row for job, row in self._waited_for.items() if job not in waited_for}
        _forget_oldest(self.picked_up)
        self._waited_for = waited_for

    def forget(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            self.picked_up.pop(job_id, None)


class Lookout(ABC):
    """Jobs to be looked at, some at a time: what one look told is written before the next one."""

    @property
    @abstractmethod
    def has_more(self) -> bool: ...

    @abstractmethod
    async def look(self, most: int) -> Sequence[Seen]:
        """What the next ones tell, and the same ones again until that is settled. Raises: DatabaseUnavailable."""

    @abstractmethod
    def settle(self) -> None:
        """What was told is written."""


class Doubts(Lookout):
    """Runs whose events may have been lost: of slots that were picked up, and of triggers."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._doubts: dict[str, str] = {}
        self._looked_at: Sequence[str] = ()

    @property
    def has_more(self) -> bool:
        return bool(self._doubts)

    def add(self, runs: Mapping[str, str]) -> None:
        """Shape: job id -> row id."""
        self._doubts |= runs
        _forget_oldest(self._doubts)

    async def add_triggers(self) -> None:
        """Those whose end nobody has told of yet (see noteTrigger.lua)."""
        noted = await self._queue.client.call("HKEYS", self._queue.keys.cron_history())
        self.add({job_id: job_id.split(".")[1] for job_id in noted if is_trigger(job_id)})

    async def look(self, most: int) -> Sequence[Seen]:
        self._looked_at = list(self._doubts)[:most]
        looks = await _look_at(self._queue, self._looked_at)
        return [look.seen(look.row_id or self._doubts[look.job_id]) for look in looks if look.has_begun]

    def settle(self) -> None:
        """How one that is unfinished ends is left to the events, and to its row, which says that it runs."""
        for job_id in self._looked_at:
            self._doubts.pop(job_id, None)


class Runs(Lookout):
    """Runs that go on as far as the rows know whose handlers have their jobs in this queue."""

    def __init__(self, app: App, queue: Queue, database: Database) -> None:
        self._app = app
        self._queue = queue
        self._database = database
        self._handlers = [one.name for one in app.registry if app.queue_of(one) == queue.name]
        self._after: str | None = None
        self._next: str | None = None

    @property
    def has_more(self) -> bool:
        return self._after is not None

    def begin(self) -> None:
        """Look at all of them, from the first one; where that goes on, it does."""
        self._after = "" if self._after is None else self._after

    async def look(self, most: int) -> Sequence[Seen]:
        running = await self._active(most)
        looks = await _look_at(self._queue, [job_id for _, job_id in running])
        ended = [(row_id, look) for (row_id, _), look in zip(running, looks, strict=True) if look.has_ended]
        moved = await self._elsewhere([look.job_id for _, look in ended if look.state == "removed"])
        return [look.seen(row_id) for row_id, look in ended if look.job_id not in moved]

    def settle(self) -> None:
        self._after = self._next

    async def _elsewhere(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Those that are in another queue: their handler had its jobs there when they were made."""
        if not job_ids:
            return frozenset()
        async with self._database.transaction() as session:
            known = await session.scalars(select(CronQueue.name))
        names = {*self._app.queue_names(), *known} - {self._queue.name}
        places = [(self._app.queue(name), job_id) for name in sorted(names) for job_id in job_ids]
        there = await asyncio.gather(*(queue.client.call("EXISTS", queue.keys.job(job_id)) for queue, job_id in places))
        return frozenset(job_id for (_, job_id), is_there in zip(places, there, strict=True) if is_there)

    async def _active(self, most: int) -> Sequence[tuple[str, str]]:
        """Shape: row id, job id."""
        some = (
            select(CronJobRow.id, CronJobRow.last_job_id)
            .where(CronJobRow.last_status == "active", CronJobRow.handler.in_(self._handlers))
            .where(CronJobRow.last_job_id.is_not(None), CronJobRow.id > (self._after or ""))
            .order_by(CronJobRow.id)
            .limit(most)
        )
        async with self._database.transaction() as session:
            rows = (await session.execute(some)).all()
        self._next = rows[-1][0] if len(rows) == most else None
        return [(row_id, job_id) for row_id, job_id in rows if job_id is not None]


def is_trigger(job_id: str) -> bool:
    return job_id.startswith("cron.") and job_id.count(".") > 1


class _Look(NamedTuple):
    """What a job told. Units: epoch ms, "" where there is none. `state` is that of lookAtRuns.lua."""

    job_id: str
    state: str
    row_id: str
    claimed: str
    finished: str
    running: str

    @property
    def has_ended(self) -> bool:
        return self.state != "unfinished"

    @property
    def has_begun(self) -> bool:
        return self.has_ended or self.claimed != ""

    def seen(self, row_id: str) -> Seen:
        claimed_at = moment_of(int(self.claimed)) if self.claimed else None
        at = moment_of(int(self.finished) if self.finished else now_ms())
        if self.state == "unfinished":
            return Seen("active", self.job_id, row_id, claimed_at or at)
        return Seen(_KINDS[self.state], self.job_id, row_id, at, claimed_at, self.running, is_final=True)


async def _look_at(queue: Queue, job_ids: Sequence[str]) -> Sequence[_Look]:
    """In one round trip; each call looks at a bounded number, so that nobody else waits long."""
    keys = [queue.keys.of("completed"), queue.keys.of("failed"), queue.keys.cron_schedulers()]
    parts = [job_ids[start : start + _IN_ONE_CALL] for start in range(0, len(job_ids), _IN_ONE_CALL)]
    calls: list[Call] = [(own("lookAtRuns"), keys, (queue.keys.base, *part)) for part in parts]
    looks: list[_Look] = []
    for part, reply in zip(parts, await queue.client.run_all(calls), strict=True):
        if isinstance(reply, Exception):
            raise reply
        looks += [_Look(job_id, *told) for job_id, told in zip(part, reply, strict=True)]
    return looks


def _forget_oldest(runs: dict[str, str]) -> None:
    for job_id in list(runs)[: max(len(runs) - _MOST_DOUBTS, 0)]:
        del runs[job_id]
