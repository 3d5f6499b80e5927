"""Cleaning: jobs of a state that are older than some time are removed, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias, cast, get_args

from jobqueue.clock import now_ms as wall_clock_ms
from jobqueue.errors import InvalidOption
from jobqueue.job import MAX_DELAY_MS
from jobqueue.queue import Queue
from jobqueue.scripts import around

Cleanable = Literal["waiting", "paused", "delayed", "prioritized", "active", "completed", "failed"]
"""The states that can be cleaned: those of Node's `Queue.clean`. Parked jobs and parents wait, and stay."""

CLEANABLE: Final[tuple[Cleanable, ...]] = get_args(Cleanable)

OnCleaned: TypeAlias = Callable[[int], object]
"""Is told how many jobs are gone so far, after each batch; what it raises ends the cleaning."""

BATCH: Final = 1_000
_DIGITS = 13  # of epoch milliseconds, from 2001 to 2286


async def clean(
    queue: Queue,
    state: Cleanable,
    older_than_ms: int = 0,
    *,
    limit: int | None = None,
    on_cleaned: OnCleaned | None = None,
    goes_on: Callable[[], bool] = lambda: True,
    now_ms: int | None = None,
) -> int:
    """Remove the jobs of a state that are older than `older_than_ms`, at most `limit` of them; returns how many.

    A finished job is as old as its end, another as its last try or, before the first, as its enqueueing. These stay,
    whatever their age: the next job of a job scheduler, an active job whose worker renews its lock, and a failed job
    whose parent waits until it is retried. A parent that waits for a removed job alone goes with it, as in Node. What a
    removed job held of ours (an order key, a limit, a lane) goes to the next as when any tool removes a job.
    Concurrency: a batch is one step in Redis, so that other calls come in between; a job that changes its place
    meanwhile may be passed over. Before each `goes_on` is asked; where it says no, the rest stays.
    Raises: InvalidOption; QueueVersionError. Source: cleanJobsInSet; Node Queue.clean, which looks no further than
    the first jobs that stay, and removes a failed job's parent with it.
    """
    _check(state, older_than_ms, limit)
    await queue.check_version()
    cutoff_ms = max((wall_clock_ms() if now_ms is None else now_ms) - older_than_ms, 0)
    removed = stay = 0
    while (limit is None or removed < limit) and goes_on():
        most = BATCH if limit is None else min(BATCH, limit - removed)
        looked_at, gone = await _clean_some(queue, state, cutoff_ms, most, stay)
        removed, stay = removed + gone, stay + looked_at - gone
        if on_cleaned is not None:
            on_cleaned(removed)
        if looked_at < most:
            break
    return removed


async def _clean_some(queue: Queue, state: Cleanable, cutoff_ms: int, most: int, skip: int) -> tuple[int, int]:
    """How many jobs were looked at, and how many of them are gone."""
    word = "wait" if state == "waiting" else state
    # The script compares times as text: with fewer digits every job of today would be older than one of 1999.
    args = (queue.keys.base, str(cutoff_ms).zfill(_DIGITS), most, word, skip)
    reply = await queue.client.run(
        around("cleanSome", "cleanJobsInSet"), queue.keys.each((word, "events", "repeat")), args
    )
    looked_at, gone = cast(list[int], reply)
    return looked_at, gone


def _check(state: object, older_than_ms: object, limit: object) -> None:
    if state not in CLEANABLE:
        raise InvalidOption("state", f"must be one of {', '.join(CLEANABLE)}, not {state!r:.100}")
    if not _is_whole(older_than_ms, 0, MAX_DELAY_MS):
        raise InvalidOption(
            "older_than_ms", f"must be a whole number from 0 to {MAX_DELAY_MS}, not {older_than_ms!r:.100}"
        )
    if limit is not None and not _is_whole(limit, 1, 2**53):
        raise InvalidOption("limit", f"must be a whole number, 1 or more, or None for no limit, not {limit!r:.100}")


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
