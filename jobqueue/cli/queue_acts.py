"""Queue acts: what the commands of `jobqueue queue` do. What they change is in the audit log."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import typer

from board.api.serialize import queue_json, removed_json
from jobqueue.cleaning import CLEANABLE, Cleanable
from jobqueue.cli.acting import person
from jobqueue.cli.asking import make_sure
from jobqueue.cli.console import FAILED, one_line, report, say, say_json
from jobqueue.cli.environment import load_settings, open_app
from jobqueue.cli.many import Treatment, until_complete
from jobqueue.cli.progress import fewer_jobs
from jobqueue.cli.tables import print_table
from jobqueue.errors import InvalidOption
from jobqueue.inspector import Bulk, Inspector, Operator, QueueView
from jobqueue.job import MAX_DELAY_MS, State

COLUMNS: Final[dict[str, tuple[State, ...]]] = {
    "WAITING": ("waiting", "paused", "prioritized"),
    "PARKED": ("waiting-children",),
    "DELAYED": ("delayed",),
    "ACTIVE": ("active",),
    "COMPLETED": ("completed",),
    "FAILED": ("failed",),
}


@dataclass(frozen=True, slots=True)
class Old:
    """Which jobs are to be cleaned; `age` is `older_than_ms` as it was typed."""

    state: str
    older_than_ms: int
    age: str
    limit: int | None


@asynccontextmanager
async def _opened(registry: str | None) -> AsyncGenerator[Inspector]:
    async with open_app(load_settings(jobs_registry=registry)) as app:
        yield Inspector(app)


async def list_all(registry: str | None, as_json: bool) -> None:
    async with _opened(registry) as inspector:
        queues = await inspector.queues()
    if as_json:
        say_json([queue_json(queue) for queue in queues])
    else:
        print_table(("QUEUE", *COLUMNS, ""), map(_cells, queues), whole=("QUEUE",), right=tuple(COLUMNS))


def _cells(queue: QueueView) -> tuple[str, ...]:
    remark = queue.refused or ("paused" if queue.paused else "")
    return queue.name, *(f"{count_of(queue, states):,}" for states in COLUMNS.values()), remark


def count_of(queue: QueueView, states: Sequence[State]) -> int:
    return sum(queue.counts.get(state, 0) for state in states)


async def pause(registry: str | None, queue: str, as_json: bool) -> None:
    async with _opened(registry) as inspector:
        await inspector.acting_as(person()).pause(queue)
        _say_state(await inspector.queue(queue), as_json)


async def resume(registry: str | None, queue: str, as_json: bool) -> None:
    async with _opened(registry) as inspector:
        await inspector.acting_as(person()).resume(queue)
        _say_state(await inspector.queue(queue), as_json)


def _say_state(queue: QueueView, as_json: bool) -> None:
    if as_json:
        say_json(queue_json(queue))
    else:
        say("paused" if queue.paused else "resumed")


async def clean(registry: str | None, queue: str, old: Old, *, is_sure: bool, as_json: bool) -> None:
    """Raises: typer.Exit with 1 where the person does not want it."""
    if old.state not in CLEANABLE:
        raise InvalidOption("--state", f"must be one of {', '.join(CLEANABLE)}, not {old.state!r:.100}")
    state = old.state
    async with _opened(registry) as inspector:
        await _check_queue(inspector, queue)
        count = count_of(await inspector.queue(queue), (state,))
        which = f"older than {old.age}" if old.older_than_ms else "of any age"
        most = "" if old.limit is None else f", {old.limit:,} at most"
        await make_sure(
            f"Remove {state} jobs {which} from queue {one_line(queue)} (it has {count:,} {state}{most})?",
            is_sure=is_sure,
        )
        treat = cleaning(inspector.acting_as(person()), queue, state, old)
        async with fewer_jobs(inspector, queue, (state,), "removed"):
            # With a limit, once more would remove more.
            bulk = await (until_complete(treat) if old.limit is None else treat(0))
    _say_removed(bulk, as_json)


def cleaning(operator: Operator, queue: str, state: Cleanable, old: Old) -> Treatment:
    """The removal of jobs that were so old when it was begun."""

    async def clean_some(passed_ms: int) -> Bulk:
        return await operator.clean(queue, state, min(old.older_than_ms + passed_ms, MAX_DELAY_MS), old.limit)

    return clean_some


async def drain(registry: str | None, queue: str, *, delayed: bool, is_sure: bool, as_json: bool) -> None:
    """Raises: typer.Exit with 1 where the person does not want it."""
    states = (*COLUMNS["WAITING"], *(COLUMNS["DELAYED"] if delayed else ()))
    async with _opened(registry) as inspector:
        await _check_queue(inspector, queue)
        count = count_of(await inspector.queue(queue), states)
        which = "waiting and delayed" if delayed else "waiting"
        await make_sure(
            f"Remove {count:,} {which} {'job' if count == 1 else 'jobs'} from queue {one_line(queue)}?", is_sure=is_sure
        )
        operator = inspector.acting_as(person())
        async with fewer_jobs(inspector, queue, states, "removed"):
            bulk = await until_complete(lambda _passed_ms: operator.drain(queue, delayed=delayed))
    _say_removed(bulk, as_json)


async def _check_queue(inspector: Inspector, queue: str) -> None:
    """Raises: InvalidOption, before anybody is asked about it."""
    if not await inspector.has_queue(queue):
        raise InvalidOption("queue", f"there is no queue {queue!r:.200}")


def _say_removed(bulk: Bulk, as_json: bool) -> None:
    """Raises: typer.Exit with 1 where the time was up before all were removed."""
    if as_json:
        say_json(removed_json(bulk))
    else:
        say(f"removed {bulk.done}")
    if not bulk.complete:
        report("not all were removed in the time given; the same command goes on")
        raise typer.Exit(FAILED)
