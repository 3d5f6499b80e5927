"""Scheduler: cron jobs from code: one at a time, or the whole list of a service."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar, cast, overload

from jobqueue.app import App, default_app
from jobqueue.cron import CronFields, CronJob, CronJobs
from jobqueue.cron.definitions import CronJobDefinition, check_definitions, name_of, payload_as_json
from jobqueue.cron.registering import write_list
from jobqueue.database import open_database
from jobqueue.errors import CronJobNotFound, DuplicateCronJob, InvalidCronJob
from jobqueue.handler import Handler
from jobqueue.job import is_plain_text

P = TypeVar("P")

SCHEDULER: Final = "scheduler"
"""Who has made a row that `add` made: its `created_by`, beside the source `code`."""
REGISTRATION: Final = "register_cron_jobs"
"""The same of a row that was registered; the group follows, where there is one."""

_LONGEST_GROUP: Final = 100
_NOT_A_WORD: Final = re.compile(r"[^\w.-]+")


@overload
async def add(
    name: Handler[P], when: str, data: P | None = None, *, timezone: str = "UTC", app: App | None = None
) -> str: ...
@overload
async def add(name: str, when: str, data: Any = None, *, timezone: str = "UTC", app: App | None = None) -> str: ...
async def add(
    name: Handler[Any] | str, when: str, data: Any = None, *, timezone: str = "UTC", app: App | None = None
) -> str:
    """Run the handler `name` with the payload `data` whenever the cron pattern `when` says; returns the schedule's id.

    To be called at each start: what was added before, with the same four values, is the same schedule, and is left as
    it is, with what people have changed of it meanwhile. Another pattern is another schedule beside the first.
    Raises: InvalidCronJob, naming the column (`handler`, `pattern`, `timezone`, `payload.…`); UnreadableCronJob where
    SQL has spoiled its row; DatabaseUnavailable.
    """
    chosen = app or default_app()
    payload = None if data is None else payload_as_json(name, data, chosen.enqueuer)
    handler = name_of(name)
    schedule = _schedule_name(handler, when, timezone, payload)
    fields = CronFields(job_id=schedule, name=schedule, handler=handler, pattern=when, timezone=timezone)
    if data is not None:
        fields["payload"] = payload
    async with _cron_jobs(chosen) as cron_jobs:
        row = await _find(cron_jobs, schedule)
        if row is None:
            try:
                row = await cron_jobs.create(created_by=SCHEDULER, source="code", **fields)
            except DuplicateCronJob:
                # Another process has added it meanwhile, or somebody else's row has the name.
                row = await _find(cron_jobs, schedule)
                if row is None:
                    raise
        return row.id


async def list(name: Handler[Any] | str | None = None, *, app: App | None = None) -> tuple[CronJob, ...]:
    """All cron jobs, or those of one handler, by name; also those that people or `register_cron_jobs` have made.

    Those that cannot be read, since SQL has spoiled them, are left out. Raises: DatabaseUnavailable.
    """
    async with _cron_jobs(app or default_app()) as cron_jobs:
        rows = await cron_jobs.list()
    return rows if name is None else tuple(row for row in rows if row.handler == name_of(name))


async def remove(schedule_id: str, *, app: App | None = None) -> None:
    """Remove a cron job, whoever has made it, with the job of its next slot; a job that runs goes on.

    What is registered comes back with the next registration. Raises: CronJobNotFound; DatabaseUnavailable.
    """
    async with _cron_jobs(app or default_app()) as cron_jobs:
        await cron_jobs.delete(schedule_id)


async def register_cron_jobs(
    jobs: Iterable[CronJobDefinition], *, group: str | None = None, app: App | None = None
) -> tuple[CronJob, ...]:
    """Make the cron jobs that were registered before equal to this list, made with `cron_job`; their rows.

    To be called at each start, by every process of a service. What says the same is not touched, what has changed is
    changed, what is no longer listed is removed with the job of its next slot. Rows that people or `scheduler.add`
    have made are left alone, and whether a cron job is enabled is left to people. Services that share a database
    name a `group` each: a list speaks for its own group only.
    Concurrency: all of the list or nothing is written. Raises: InvalidCronJob, naming the entry and its field;
    DatabaseUnavailable.
    """
    chosen = app or default_app()
    listed = check_definitions(jobs, chosen.enqueuer)
    async with open_database(chosen.settings.database_url) as database:
        rows = await write_list(database, listed, _owner(group))
        await CronJobs(chosen, database).follow(*listed)
    return rows


@asynccontextmanager
async def _cron_jobs(app: App) -> AsyncGenerator[CronJobs]:
    async with open_database(app.settings.database_url) as database:
        yield CronJobs(app, database)


async def _find(cron_jobs: CronJobs, job_id: str) -> CronJob | None:
    """The row that was added under that name. An edit of its name does not make it another one."""
    try:
        row = await cron_jobs.find(job_id)
    except CronJobNotFound:
        return None
    return row if row.job_id == job_id and _is_added(row) else None


def _is_added(row: CronJob) -> bool:
    return row.source == "code" and row.created_by == SCHEDULER


def _schedule_name(handler: str, pattern: str, timezone: str, payload: Any) -> str:
    """The same for the same schedule, and readable.

    `{}` is what a handler gets where nothing is given; zones are known by their names in any case of letters.
    """
    zone = timezone.lower() if isinstance(cast(object, timezone), str) else timezone
    said = json.dumps([handler, pattern, zone, payload if payload != {} else None], sort_keys=True, default=repr)
    digest = hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{_NOT_A_WORD.sub('_', str(handler))[:150]}.{digest}"


def _owner(group: str | None) -> str:
    if group is None:
        return REGISTRATION
    if not is_plain_text(group, _LONGEST_GROUP):
        problem = f"must be a text of 1 to {_LONGEST_GROUP} characters without control characters, not {group!r:.100}"
        raise InvalidCronJob({"group": problem})
    return f"{REGISTRATION} {group}"
