"""Cron acts: what the commands of `jobqueue cron` do. What they change is in the audit log, refused ones too."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn

import typer

from board.api.answers import CronJobShown
from board.api.serialize import cron_job_json
from jobqueue.app import App
from jobqueue.cli.acting import person
from jobqueue.cli.console import note, one_line, say, say_json
from jobqueue.cli.cron_shown import next_run, print_cron_jobs
from jobqueue.cli.environment import load_settings, open_app
from jobqueue.cli.results import result_of
from jobqueue.cron import CronFields, CronJob, CronJobs, SyncReport
from jobqueue.cron.masked import masked_payload
from jobqueue.database import open_database
from jobqueue.errors import InvalidCronJob, UnreadableCronJob
from jobqueue.inspector.cron_acts import CronActs

BY: Final = "command line"
"""Who makes and triggers cron jobs from here."""
ALL: Final = 1_000_000
"""Cron jobs that are listed: more than any table has."""


@dataclass(frozen=True, slots=True)
class _Cron:
    """The service's cron jobs, as this command shows them."""

    app: App
    jobs: CronJobs

    @property
    def acts(self) -> CronActs:
        """What is changed, in the name of whoever runs the command."""
        return CronActs(self.app, lambda: nullcontext(self.jobs), person(), BY)

    def shown(self, row: CronJob) -> CronJobShown:
        """As the admin routes show it: secrets are masked."""
        return cron_job_json(row, masked_payload(row, self.app.registry), self.jobs.next_run_ms(row))

    def say_next_run(self, row: CronJob, verb: str) -> None:
        text = next_run(row, self.jobs.next_run_ms(row)) if row.enabled else "none: it is disabled"
        note(f"{verb} {one_line(row.name)}; next run {text}")


class _Removed(NamedTuple):
    """What is known of a cron job that was removed; of one that could not be read it is the id."""

    id: str
    job_id: str | None = None
    name: str | None = None


@asynccontextmanager
async def _opened(registry: str | None) -> AsyncGenerator[_Cron]:
    settings = load_settings(jobs_registry=registry)
    async with open_app(settings) as app, open_database(settings.database_url) as database:
        yield _Cron(app, CronJobs(app, database))


async def list_all(registry: str | None, as_json: bool) -> None:
    async with _opened(registry) as cron:
        rows, total = await cron.jobs.page(0, ALL)
        if as_json:
            say_json([cron.shown(row) for row in rows])
        elif not total:
            say("no cron jobs; add one with `jobqueue cron add`")
        else:
            print_cron_jobs([(row, cron.jobs.next_run_ms(row)) for row in rows])
        if len(rows) < total:
            note(f"{total - len(rows)} more cannot be read; `jobqueue cron sync` says which, and why")


async def add(registry: str | None, fields: CronFields, as_json: bool) -> None:
    async with _opened(registry) as cron:
        try:
            row = await cron.acts.create(fields)
        except InvalidCronJob as error:
            _name_options(error)
        if as_json:
            say_json(cron.shown(row))
        else:
            cron.say_next_run(row, "added")
            say(row.id)


async def change(registry: str | None, which: str, fields: CronFields, as_json: bool) -> None:
    async with _opened(registry) as cron:
        row = await cron.jobs.find(which)
        try:
            row = await cron.acts.change(row, fields)
        except InvalidCronJob as error:
            _name_options(error)
        if as_json:
            say_json(cron.shown(row))
        else:
            cron.say_next_run(row, "saved")
            say(row.id)


async def remove(registry: str | None, which: str, as_json: bool) -> None:
    """One that cannot be read, too: there is no other way to be rid of it here."""
    async with _opened(registry) as cron:
        try:
            row = await cron.jobs.find(which)
            removed = _Removed(row.id, row.job_id, row.name)
        except UnreadableCronJob as error:
            row, removed = None, _Removed(error.which)
        await cron.acts.delete(removed.id, row)
        if as_json:
            say_json({"id": removed.id, "jobId": removed.job_id, "name": removed.name})
        else:
            say(f"removed {one_line(removed.name or which)}")


async def trigger(registry: str | None, which: str, wait_s: float | None, as_json: bool) -> None:
    async with _opened(registry) as cron:
        row = await cron.jobs.find(which)
        stored = await cron.acts.trigger(row)
        answer: dict[str, Any] = {"jobId": stored.job_id, "handler": stored.name, "queue": stored.queue}
        if not as_json:
            note(one_line(f"enqueued {stored.name} as job {stored.job_id} in queue {stored.queue}"))
        if wait_s is not None:
            answer["result"] = await result_of(stored, wait_s)
        if as_json:
            say_json(answer)
        elif wait_s is not None:
            say_json(answer["result"])
        else:
            say(stored.job_id)


async def sync(registry: str | None) -> SyncReport:
    async with _opened(registry) as cron:
        return await cron.jobs.sync()


def _name_options(error: InvalidCronJob) -> NoReturn:
    """Raises: BadParameter, with the options instead of the fields."""
    wrong = [(_option(field), _problem(field, problem)) for field, problem in error.field_errors.items()]
    if len(wrong) == 1:
        ((option, problem),) = wrong
        raise typer.BadParameter(one_line(problem), param_hint=option) from error
    raise typer.BadParameter(one_line("; ".join(f"{option}: {problem}" for option, problem in wrong))) from error


def _option(field: str) -> str:
    return "NAME" if field == "name" else f"--{field.partition('.')[0].replace('_', '-')}"


def _problem(field: str, problem: str) -> str:
    """What is wrong inside the payload says where."""
    return f"{field}: {problem}" if "." in field else problem
