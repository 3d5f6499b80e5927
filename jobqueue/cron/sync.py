"""Sync: makes the job schedulers that are ours equal to the enabled rows, and touches no other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from jobqueue.app import App
from jobqueue.cron import schedulers
from jobqueue.cron.checking import CronFields, check, fields_of
from jobqueue.cron.patterns import next_run
from jobqueue.cron.reading import read_rows
from jobqueue.cron.schedulers import Pass, Planned, Put, Template
from jobqueue.cron.table import CronJob, CronJobRow, CronQueue
from jobqueue.cron.templates import template_of
from jobqueue.database import Database
from jobqueue.errors import InvalidCronJob, QueueVersionError, RedisReplyError
from jobqueue.handler import Handler
from jobqueue.queue import Queue
from jobqueue.redis.retry import is_passing

_AT_ONCE: Final = 200
_SLOTS_TRIED: Final = 20
FOREIGN: Final = "is the id of a scheduler that somebody else has made"
_NO_FREE_SLOT: Final = "its slots are fired faster than it can be put; the next pass tries again"


@dataclass(slots=True)
class SyncReport:
    """What one pass did: ids of schedulers. `refused` says why; such a scheduler is left as it was.

    `unknown` are those of handlers that this process does not have: the passes of another one look after them.
    """

    kept: list[str] = field(default_factory=list[str])
    added: list[str] = field(default_factory=list[str])
    replaced: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    unknown: list[str] = field(default_factory=list[str])
    refused: dict[str, str] = field(default_factory=dict[str, str])
    overtaken: bool = False
    """Another pass, which began later and so knows better, does what this one left."""


class _Checked(NamedTuple):
    """What a row came to the last time, for as long as it says the same."""

    fields: CronFields
    handler: Handler[Any]
    template: Template | None
    problem: str = ""


class Sync:
    """Makes passes. Concurrency: any number of processes may; a pass gives way to one that began later."""

    def __init__(self, app: App, database: Database) -> None:
        self._app = app
        self._database = database
        self._checked: dict[str, _Checked] = {}

    async def run(self) -> SyncReport:
        """One pass over the queues of the registry, and those in which schedulers of ours may still stand.

        Raises: RedisUnavailable and its kin; DatabaseUnavailable.
        """
        has_rows, known = await self._look()
        names = dict.fromkeys([*self._app.queue_names(), *known])
        begun = [(queue, await _begin(queue, has_rows)) for queue in map(self._app.queue, names)]
        rows = await read_rows(self._database)
        report = SyncReport(refused=dict(rows.unreadable))
        wanted = await self._wanted([row for row in rows.readable if row.enabled], report)
        for name in wanted.keys() - known:
            await self._remember(name)
        for queue, one in begun:
            here = wanted.get(queue.name, {})
            if isinstance(one, QueueVersionError):
                report.refused |= dict.fromkeys(here, str(one))
            elif one is not None:
                await _drop_others(queue, one, {*here, *report.unknown, *report.refused}, report)
                await _put_all(queue, one, here, report)
        return report

    async def _look(self) -> tuple[bool, frozenset[str]]:
        """Whether there are rows, and the queues in which schedulers of ours stood: a handler may have moved away."""
        async with self._database.transaction() as session:
            has_rows = await session.scalar(select(CronJobRow.id).limit(1)) is not None
            return has_rows, frozenset(await session.scalars(select(CronQueue.name)))

    async def _remember(self, queue: str) -> None:
        try:
            async with self._database.transaction() as session:
                session.add(CronQueue(name=queue))
        except IntegrityError:  # another pass has done it meanwhile
            return

    async def _wanted(self, rows: Sequence[CronJob], report: SyncReport) -> Mapping[str, Mapping[str, Template]]:
        """The templates of the rows, by queue and scheduler id. One bad row does not stop the others."""
        wanted: dict[str, dict[str, Template]] = {}
        known: dict[str, _Checked] = {}
        for number, row in enumerate(rows):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)  # for whoever else is on the loop: a row takes some 50 µs
            handler = self._app.registry.find(row.handler)
            if handler is None:
                report.unknown.append(row.job_id)
                continue
            checked = known[row.id] = self._check(row, handler)
            if checked.template is None:
                report.refused[row.job_id] = checked.problem
            else:
                wanted.setdefault(self._app.queue_of(handler), {})[row.job_id] = checked.template
        self._checked = known
        return wanted

    def _check(self, row: CronJob, handler: Handler[Any]) -> _Checked:
        before, fields = self._checked.get(row.id), fields_of(row)
        # as text: to Python 1 and true are equal, to JSON they are not
        if before is not None and repr(before.fields) == repr(fields) and before.handler is handler:
            return before
        try:
            check(fields, self._app.enqueuer)
        except InvalidCronJob as error:
            return _Checked(fields, handler, None, str(error))
        return _Checked(fields, handler, template_of(row, handler))


async def _begin(queue: Queue, has_rows: bool) -> Pass | QueueVersionError | None:
    """In a queue with data of BullMQ 5 nothing is written."""
    try:
        await queue.check_version()
    except QueueVersionError as error:
        return error
    return await schedulers.begin_pass(queue, has_rows=has_rows)


async def _drop_others(queue: Queue, begun: Pass, settled: set[str], report: SyncReport) -> None:
    gone = sorted(begun.ours - settled)
    for scheduler_id, drop in zip(gone, await schedulers.drop_all(queue, begun, gone), strict=True):
        if isinstance(drop, Exception):
            raise drop
        if drop == "dropped":
            report.removed.append(scheduler_id)
        report.overtaken |= drop == "overtaken"


async def _put_all(queue: Queue, begun: Pass, wanted: Mapping[str, Template], report: SyncReport) -> None:
    """A look at each first: most are as they should be, and their next time need not be computed."""
    asked: list[Planned] = [(template, None) for template in wanted.values()]
    for _ in range(_SLOTS_TRIED):
        if not asked:
            return
        puts = await schedulers.put_all(queue, begun, asked)
        again: list[Planned] = []
        for (template, _), put in zip(asked, puts, strict=True):
            if isinstance(put, Put) and put.verdict == "stale":
                again.append((template, next_run(template.pattern, template.timezone, put.at_ms)))
            else:
                _note(template.id, put, report)
        asked = again
    report.refused |= {template.id: _NO_FREE_SLOT for template, _ in asked}


def _note(scheduler_id: str, put: Put | Exception, report: SyncReport) -> None:
    match put:
        case Put("kept"):
            report.kept.append(scheduler_id)
        case Put("added"):
            report.added.append(scheduler_id)
        case Put("replaced"):
            report.replaced.append(scheduler_id)
        case Put("foreign"):
            report.refused[scheduler_id] = f"job_id: {FOREIGN}"
        case Put("overtaken"):
            report.overtaken = True
        case RedisReplyError() if not is_passing(put):
            report.refused[scheduler_id] = str(put)
        case Exception():
            raise put
        case _:
            raise ValueError(f"putting scheduler {scheduler_id!r} came to {put!r}")
