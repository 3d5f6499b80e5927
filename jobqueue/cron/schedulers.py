"""Schedulers: the job schedulers of one queue that follow our rows. Each change is one step in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from jobqueue.packing import Entries, join_entries, pack, pack_entries
from jobqueue.queue import Queue
from jobqueue.redis.client import Call
from jobqueue.redis.connection import Argument
from jobqueue.scripts import around, own

_PUT_KEYS: Final = (
    *("repeat", "delayed", "wait", "paused", "meta", "prioritized"),
    *("marker", "id", "events", "pc", "active"),
)
_REMEMBERED_MS: Final = 24 * 60 * 60 * 1000
_AT_ONCE: Final = 500  # packing as many keeps the loop for some 20 ms
_LOOK_MS: Final = 900
_TIME_TO_ADVANCE_MS: Final = 500


class Template(NamedTuple):
    """A scheduler as it should be.

    Shape: `data` is the JSON of its jobs' data, `options` their options as they are packed, `row` the id of the row.
    """

    id: str
    row: str
    handler: str
    pattern: str
    timezone: str
    data: str
    options: Entries


class Pass(NamedTuple):
    """A pass over one queue: its number, and the schedulers that are ours."""

    number: int
    ours: frozenset[str]


Planned: TypeAlias = tuple[Template, int | None]
"""A scheduler and its next run, epoch ms; None for a look."""
PutVerdict: TypeAlias = Literal["kept", "added", "replaced", "stale", "foreign", "overtaken"]
Drop: TypeAlias = Literal["dropped", "foreign", "overtaken"]


class Put(NamedTuple):
    """What putting a scheduler came to (see putScheduler.lua). One that is `stale` must run next after `at_ms`."""

    verdict: PutVerdict
    at_ms: int


class Lost(NamedTuple):
    """A scheduler that would stop; `job_id` is the job that should have made the next one, None where it is gone."""

    scheduler_id: str
    job_id: str | None


async def is_foreign(queue: Queue, scheduler_id: str) -> bool:
    """Whether somebody else has made a scheduler of that id."""
    there, ours = await asyncio.gather(
        queue.client.call("ZSCORE", queue.keys.of("repeat"), scheduler_id),
        queue.client.call("HEXISTS", queue.keys.cron_schedulers(), scheduler_id),
    )
    return there is not None and not ours


async def begin_pass(queue: Queue, *, has_rows: bool) -> Pass | None:
    """To be called before the table is read: of two passes the one that began later knows better.

    None where there are neither rows nor schedulers of ours, so that nothing is to do, and nothing is written.
    """
    keys = [queue.keys.cron_passes(), queue.keys.cron_schedulers()]
    begun = await queue.client.run(own("beginPass"), keys, [_REMEMBERED_MS, int(has_rows)])
    return Pass(begun[0], frozenset(begun[1])) if begun else None


async def put_all(queue: Queue, begun: Pass, wanted: Sequence[Planned]) -> Sequence[Put | Exception]:
    """Make schedulers as their templates have them, many in one round trip.

    Concurrency: each is atomic. The clock that counts is Redis's, which is one for all. Source: addJobScheduler.
    """
    replies: list[Any] = []
    for start in range(0, len(wanted), _AT_ONCE):
        calls = [_putting(queue, begun, *planned) for planned in wanted[start : start + _AT_ONCE]]
        replies += await queue.client.run_all(calls)
    return [reply if isinstance(reply, Exception) else Put(*reply) for reply in replies]


async def drop_all(queue: Queue, begun: Pass, scheduler_ids: Sequence[str]) -> Sequence[Drop | Exception]:
    """Remove schedulers of ours with the jobs of their next slots. Source: removeJobScheduler, removeJob."""
    script = around("dropScheduler", "removeJobScheduler", "removeJob")
    keys = [queue.keys.cron_schedulers(), queue.keys.cron_passes()]
    return await queue.client.run_all(
        [(script, keys, (queue.keys.base, scheduler_id, begun.number)) for scheduler_id in scheduler_ids]
    )


async def lost_iterations(queue: Queue) -> Sequence[Lost] | None:
    """Schedulers that would stop; None where somebody else has looked a moment ago.

    Those whose slot has come are looked at each time, of the others so many that Redis is not kept for long. Where no
    scheduler is ours that is all that is asked.
    """
    if not await queue.client.call("EXISTS", queue.keys.cron_schedulers()):
        return []
    keys = [queue.keys.cron_schedulers(), queue.keys.cron_look(), queue.keys.of("repeat"), queue.keys.cron_passes()]
    args = (queue.keys.base, _LOOK_MS, _TIME_TO_ADVANCE_MS, _AT_ONCE)
    verdict, *found = await queue.client.run(own("lostIterations"), keys, args)
    return None if verdict == "held" else [Lost(scheduler_id, job_id or None) for scheduler_id, job_id in found]


def _putting(queue: Queue, begun: Pass, template: Template, next_ms: int | None) -> Call:
    keys = queue.keys
    schedule = {"name": template.handler, "tz": template.timezone, "pattern": template.pattern}
    # What a worker, Node's or ours, makes the job after the next one from.
    of_first_job = pack_entries(
        {
            "repeatJobKey": template.id,
            "repeat": {"pattern": template.pattern, "tz": template.timezone, "count": 1},
        }
    )
    args: tuple[Argument, ...] = (
        "" if next_ms is None else next_ms,
        pack(schedule),
        template.id,
        template.data,
        join_entries(template.options),
        join_entries(template.options, of_first_job),
        0,  # the time: the script looks at the clock itself
        keys.base,
        "",
        pack({"base": keys.base, "row": template.row, "pass": begun.number}),
    )
    script = around("putScheduler", "addJobScheduler", "removeJobScheduler", "removeJob")
    return script, (*keys.each(_PUT_KEYS), keys.cron_schedulers(), keys.cron_passes()), args
