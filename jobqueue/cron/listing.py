"""Listing: the table as a screen shows it, some rows at a time, each with what keeps it from running."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, or_, select

from jobqueue.app import App
from jobqueue.clock import now_ms as wall_clock_ms
from jobqueue.cron.checking import check, fields_of
from jobqueue.cron.patterns import next_run
from jobqueue.cron.reading import read_rows
from jobqueue.cron.sync import FOREIGN
from jobqueue.cron.table import MAX_TEXT, CronJob, CronJobRow
from jobqueue.database import Database
from jobqueue.errors import InvalidCronJob, InvalidOption, QueueVersionError, RedisError
from jobqueue.job import is_plain_text
from jobqueue.queue import Queue
from jobqueue.redis.retry import is_passing

_NOT_YET = "has no scheduler yet; the next pass of a worker (every 30 s) makes it"


@dataclass(frozen=True, slots=True)
class ListedCronJob:
    """A row. `problem` says what keeps it from running by its schedule; `next_run_ms` is its next slot, if enabled."""

    row: CronJob
    next_run_ms: int | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class SpoiledCronJob:
    """A row that cannot be read, and why."""

    id: str
    job_id: str
    problem: str


@dataclass(frozen=True, slots=True)
class CronJobList:
    """Some of the rows, by name, those that cannot be read last. `total` counts all that match.

    `redis_away` says why the schedulers could not be looked at; then only the rows themselves were.
    """

    jobs: tuple[ListedCronJob, ...]
    spoiled: tuple[SpoiledCronJob, ...]
    total: int
    redis_away: str | None = None


async def list_cron_jobs(app: App, database: Database, text: str = "", offset: int = 0, limit: int = 50) -> CronJobList:
    """Some of the rows: those with `text` in their name, job id or handler, in any case of letters.

    Raises: DatabaseUnavailable.
    """
    if text and not is_plain_text(text, MAX_TEXT):
        return CronJobList((), (), 0)
    async with database.transaction() as session:
        total = await session.scalar(_with_text(select(func.count()).select_from(CronJobRow), text))
    chosen = _with_text(select(CronJobRow), text).order_by(CronJobRow.name).offset(offset).limit(limit)
    rows = await read_rows(database, chosen)
    spoiled = await _spoiled(database, rows.unreadable) if rows.unreadable else ()
    kept_back: Mapping[str, str] = {}
    redis_away = None
    try:
        kept_back = await _kept_back(app, rows.readable)
    except RedisError as error:
        if not is_passing(error):
            raise
        redis_away = str(error)
    jobs = tuple(
        ListedCronJob(row, _next_run_ms(row), fault_of(app, row) or kept_back.get(row.id)) for row in rows.readable
    )
    return CronJobList(jobs, spoiled, total or 0, redis_away)


async def problem_of(app: App, row: CronJob) -> str | None:
    """What keeps one row from running by its schedule; None where nothing does, or Redis cannot be asked."""
    fault = fault_of(app, row)
    if fault is not None:
        return fault
    try:
        return (await _kept_back(app, [row])).get(row.id)
    except RedisError as error:
        if not is_passing(error):
            raise
        return None


def fault_of(app: App, row: CronJob) -> str | None:
    """What is wrong with a row itself, as this process sees it."""
    if app.registry.find(row.handler) is None:
        return f"handler {row.handler!r:.100} is not registered here"
    try:
        check(fields_of(row), app.enqueuer)
    except InvalidCronJob as error:
        return str(error)
    return None


def _next_run_ms(row: CronJob) -> int | None:
    if not row.enabled:
        return None
    try:
        return next_run(row.pattern, row.timezone, wall_clock_ms())
    except InvalidOption:
        return None


def _with_text(statement: Select[Any], text: str) -> Select[Any]:
    if not text:
        return statement
    columns = (CronJobRow.name, CronJobRow.job_id, CronJobRow.handler)
    return statement.where(or_(*(column.icontains(text, autoescape=True) for column in columns)))


async def _spoiled(database: Database, unreadable: Mapping[str, str]) -> tuple[SpoiledCronJob, ...]:
    columns = select(CronJobRow.id, CronJobRow.job_id).where(CronJobRow.job_id.in_(unreadable))
    async with database.transaction() as session:
        found = (await session.execute(columns.order_by(CronJobRow.name))).all()
    return tuple(SpoiledCronJob(row.id, row.job_id, unreadable[row.job_id]) for row in found)


async def _kept_back(app: App, rows: Sequence[CronJob]) -> Mapping[str, str]:
    """Why enabled rows have no scheduler of ours, by their ids. Two calls a queue. Raises: RedisError."""
    by_queue: dict[str, list[CronJob]] = {}
    for row in rows:
        if row.enabled and app.registry.find(row.handler) is not None:
            by_queue.setdefault(app.queue_of(row.handler), []).append(row)
    looks = await asyncio.gather(*(_look(app.queue(name), here) for name, here in by_queue.items()))
    return {row_id: problem for found in looks for row_id, problem in found.items()}


async def _look(queue: Queue, rows: Sequence[CronJob]) -> dict[str, str]:
    ids = [row.job_id for row in rows]
    try:
        _, there, ours = await asyncio.gather(
            queue.check_version(),
            queue.client.call("ZMSCORE", queue.keys.of("repeat"), *ids),
            queue.client.call("HMGET", queue.keys.cron_schedulers(), *ids),
        )
    except QueueVersionError as error:
        return {row.id: str(error) for row in rows}
    problems: dict[str, str] = {}
    for row, is_there, is_ours in zip(rows, there, ours, strict=True):
        if is_there is not None and is_ours is None:
            problems[row.id] = f"its job id {FOREIGN}"
        elif is_there is None:
            problems[row.id] = _NOT_YET
    return problems
