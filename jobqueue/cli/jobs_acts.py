"""Jobs acts: what the commands of `jobqueue jobs` do. What they change is in the audit log, refused ones too."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Literal

from board.api.serialize import job_json, job_page_json
from jobqueue.cli.acting import person
from jobqueue.cli.asking import make_sure
from jobqueue.cli.console import note, one_line, say, say_json
from jobqueue.cli.environment import load_settings, open_app
from jobqueue.cli.jobs_shown import lines_of, print_jobs
from jobqueue.cli.many import Treatment, say_bulk, until_complete
from jobqueue.cli.progress import fewer_jobs
from jobqueue.clock import now_ms
from jobqueue.control import Cancelling
from jobqueue.inspector import EVERYTHING, MAX_IDS, Bulk, Inspector, JobFilter, Operator
from jobqueue.inspector.views import FINISHED
from jobqueue.job import State

Act = Literal["retry", "remove"]

DONE: Final[dict[Act, str]] = {"retry": "retried", "remove": "removed"}
SENTENCES: Final[dict[Cancelling, str]] = {
    "cancelled": "it never runs",
    "cancelling": "its worker was told to stop it",
}


@dataclass(frozen=True, slots=True)
class Page:
    """Which jobs are to be listed."""

    state: State | None
    wanted: JobFilter
    offset: int
    limit: int
    scan_from: int


@dataclass(frozen=True, slots=True)
class Meant:
    """On which jobs to act: those of these ids, or where there are none all of a state that match."""

    ids: Sequence[str]
    state: State | None
    wanted: JobFilter


@asynccontextmanager
async def _opened(registry: str | None, queue: str | None) -> AsyncGenerator[tuple[Inspector, str]]:
    """What the jobs are looked at by, and their queue."""
    async with open_app(load_settings(jobs_registry=registry)) as app:
        yield Inspector(app), queue or app.settings.jobs_queue


async def list_some(registry: str | None, queue: str | None, page: Page, as_json: bool) -> None:
    async with _opened(registry, queue) as (inspector, name):
        found = await inspector.jobs(
            name, page.state, page.offset, page.limit, wanted=page.wanted, scan_from=page.scan_from
        )
    if as_json:
        say_json(job_page_json(found))
    else:
        print_jobs(found)


async def show(registry: str | None, queue: str | None, job_id: str, as_json: bool) -> None:
    async with _opened(registry, queue) as (inspector, name):
        view = await inspector.job(name, job_id)
    if as_json:
        say_json(job_json(view))
    else:
        for line in lines_of(view):
            say(line)


async def cancel(registry: str | None, queue: str | None, job_id: str, reason: str, as_json: bool) -> None:
    async with _opened(registry, queue) as (inspector, name):
        state = await inspector.acting_as(person()).cancel(name, job_id, reason)
    if as_json:
        say_json({"jobId": job_id, "state": state})
    else:
        note(f"job {one_line(job_id)}: {SENTENCES[state]}")
        say(state)


async def act(
    registry: str | None, queue: str | None, act_word: Act, meant: Meant, *, is_sure: bool, as_json: bool
) -> None:
    """Raises: typer.Exit with 1 where a job was refused, or the person does not want it."""
    async with _opened(registry, queue) as (inspector, name):
        asks = meant.state is not None or act_word == "remove"
        await make_sure(await _question(inspector, name, act_word, meant) if asks else "", is_sure=is_sure or not asks)
        operator = inspector.acting_as(person())
        if meant.state is None:
            bulk = await _on_ids(operator, name, act_word, meant.ids)
        else:
            treat = treatment(operator, name, act_word, meant.state, meant.wanted)
            async with fewer_jobs(inspector, name, (meant.state,), DONE[act_word]):
                bulk = await until_complete(treat)
    say_bulk(bulk, DONE[act_word], as_json=as_json)


def treatment(operator: Operator, queue: str, act_word: Act, state: State, wanted: JobFilter) -> Treatment:
    """The act on all jobs that match."""

    async def treat(passed_ms: int) -> Bulk:
        meant = wanted
        # Not so the first time: where this machine's clock is behind, the youngest jobs are of its future.
        if passed_ms and state in FINISHED:
            began_ms = now_ms() - passed_ms
            meant = replace(wanted, to_ms=began_ms if wanted.to_ms is None else min(wanted.to_ms, began_ms))
        return await operator.apply_to_all(queue, act_word, state, meant)

    return treat


async def _question(inspector: Inspector, queue: str, act_word: Act, meant: Meant) -> str:
    verb, where = act_word.capitalize(), f"of queue {one_line(queue)}"
    if meant.state is None:
        named = ", ".join(meant.ids[:5]) + (", …" if len(meant.ids) > 5 else "")
        return f"{verb} {_jobs(len(meant.ids))} {where} ({one_line(named)})?"
    count = (await inspector.queue(queue)).counts.get(meant.state, 0)
    if meant.wanted == EVERYTHING:
        return f"{verb} all {_jobs(count, meant.state)} {where}?"
    return f"{verb} those that match among {_jobs(count, meant.state)} {where}?"


def _jobs(count: int, state: State | None = None) -> str:
    return " ".join(filter(None, (f"{count:,}", state, "job" if count == 1 else "jobs")))


async def _on_ids(operator: Operator, queue: str, act_word: Act, ids: Sequence[str]) -> Bulk:
    """As many at once as the audit log has in one entry."""
    done, refused, problems, complete = 0, 0, dict[str, str](), True
    for first in range(0, len(ids), MAX_IDS):
        bulk = await operator.apply(queue, act_word, ids[first : first + MAX_IDS])
        done, refused, complete = done + bulk.done, refused + bulk.refused, complete and bulk.complete
        problems |= bulk.problems
    return Bulk(done, refused, problems, complete)
