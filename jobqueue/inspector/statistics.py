"""Statistics: throughput, latency and age of a queue and of its handlers, as charts show them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple, TypeAlias

from jobqueue import statistics, wire
from jobqueue.inspector.stored import clean, read
from jobqueue.inspector.workers import time_of
from jobqueue.queue import Queue
from jobqueue.scripts import own
from jobqueue.statistics import (
    COMPLETED,
    FAILED,
    HOUR,
    MINUTE,
    QUARTER,
    RAN,
    RETRIED,
    TEN_MINUTES,
    WAITED,
    WHOLE_QUEUE,
    Resolution,
)

Span: TypeAlias = Literal["hour", "day", "week"]


class _Steps(NamedTuple):
    resolution: Resolution
    number: int


_STEPS: Final[Mapping[Span, _Steps]] = {
    "hour": _Steps(MINUTE, 60),
    "day": _Steps(HOUR, 24),
    "week": _Steps(HOUR, 7 * 24),
}
_SUMS: Final[Mapping[Span, Resolution]] = {"hour": TEN_MINUTES, "day": QUARTER, "week": QUARTER}
_SHARES: Final = (0.5, 0.95)
_LOOK: Final = 600  # Redis needs some 3 ms for all of them
_LOOK_ELSEWHERE: Final = 200


@dataclass(frozen=True, slots=True)
class Point:
    """What ended in the time from `at_ms` on, until the next point.

    `retried` are tries that failed and have another after them. Quantiles are None where nothing was measured; they are
    wrong by no more than `jobqueue.statistics.RELATIVE_ERROR`.
    """

    at_ms: int
    completed: int = 0
    failed: int = 0
    retried: int = 0
    wait_p50_ms: float | None = None
    wait_p95_ms: float | None = None
    run_p50_ms: float | None = None
    run_p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """A span of time up to now, the oldest point first, none missing.

    `total` is of all of it, with quantiles of its own.
    """

    step_ms: int
    points: tuple[Point, ...]
    total: Point


async def read_statistics(queue: Queue, span: Span, handler: str | None) -> Statistics:
    """The figures of a queue, or of one of its handlers.

    Node's workers count completed and failed jobs of a queue only, and only where their metrics are on: of a queue the
    larger count of both is told, since workers of ours may write those metrics too.
    """
    resolution = _STEPS[span].resolution
    slots = await _slots(queue, _STEPS[span])
    field = WHOLE_QUEUE if handler is None else statistics.clean_name(handler)
    keys = [queue.keys.statistics(resolution.word, slot) for slot in slots]
    rows: list[str | None] = await queue.client.run(own("fieldOfEach"), keys, [field])
    counts = [statistics.sum_of_rows([row]) for row in rows]
    points = [_point(slot * resolution.step_ms, of_slot) for slot, of_slot in zip(slots, counts, strict=True)]
    if handler is None:
        points = await _with_metrics(queue, points, resolution.step_ms)
    total = _point(points[0].at_ms, statistics.merged(counts))
    completed, failed = sum(point.completed for point in points), sum(point.failed for point in points)
    return Statistics(resolution.step_ms, tuple(points), replace(total, completed=completed, failed=failed))


async def read_handlers(queue: Queue, span: Span, names: Collection[str] | None, most: int) -> Mapping[str, Point]:
    """One point for each handler that has figures, the busiest first, of the same time as that of the queue.

    Those of these names, or else the `most` busiest: of the others no more is worked out than how busy they are.
    """
    resolution = _STEPS[span].resolution
    slots = await _slots(queue, _STEPS[span])
    keys = [queue.keys.statistics(word, slot) for word, slot in _in_sums(slots, resolution, _SUMS[span])]
    rows = await (_all_rows(queue, keys) if names is None else _rows_of(queue, keys, names))
    ended = {name: statistics.ended_in_rows(of_name) for name, of_name in rows.items()}
    busiest = sorted(rows, key=lambda name: (-ended[name], name))[:most]
    at_ms = slots[0] * resolution.step_ms
    return {clean(name): _point(at_ms, statistics.sum_of_rows(rows[name])) for name in busiest}


async def _all_rows(queue: Queue, keys: Sequence[str]) -> Mapping[str, Sequence[str]]:
    rows: defaultdict[str, list[str]] = defaultdict(list)
    for flat in await asyncio.gather(*(read(queue.client, "HGETALL", key) for key in keys)):
        for name, row in wire.pairs(flat or ()).items():
            rows[name].append(row)
    rows.pop(WHOLE_QUEUE, None)
    return rows


async def _rows_of(queue: Queue, keys: Sequence[str], names: Collection[str]) -> Mapping[str, Sequence[str]]:
    kept = list(dict.fromkeys(map(statistics.clean_name, names)))
    if not kept:
        return {}
    found = await asyncio.gather(*(read(queue.client, "HMGET", key, *kept) for key in keys))
    columns = zip(*(rows or [None] * len(kept) for rows in found), strict=True)
    rows = {name: [row for row in column if row is not None] for name, column in zip(kept, columns, strict=True)}
    return {name: of_name for name, of_name in rows.items() if of_name}


async def read_oldest_waiting(queue: Queue) -> Mapping[str, int]:
    """Handler -> epoch ms since when its oldest job could have run, among the next thousand.

    A try after the first is told from its backoff, without the jitter.
    """
    keys = queue.keys.each(("wait", "prioritized", "delayed"))
    flat: list[str] = await queue.client.run(own("oldestWaiting"), keys, (queue.keys.base, _LOOK, _LOOK_ELSEWHERE))
    return {clean(name): int(since_ms) for name, since_ms in wire.pairs(flat).items()}


async def _slots(queue: Queue, steps: _Steps) -> range:
    """Up to the present one, by the clock that the figures were kept by."""
    last = await time_of(queue.client) // steps.resolution.step_ms
    return range(last - steps.number + 1, last + 1)


def _in_sums(slots: range, fine: Resolution, coarse: Resolution) -> list[tuple[str, int]]:
    """As few hashes as hold what is in these slots: fine ones until a coarse one begins, then coarse ones up to now.

    The last of those is not over, so it holds nothing that is later than the slots.
    """
    ratio = coarse.step_ms // fine.step_ms
    first = -(-slots.start // ratio)
    before = [(fine.word, slot) for slot in range(slots.start, first * ratio)]
    return before + [(coarse.word, slot) for slot in range(first, (slots.stop - 1) // ratio + 1)]


def _point(at_ms: int, counts: Mapping[int, int]) -> Point:
    return Point(
        at_ms,
        counts.get(COMPLETED, 0),
        counts.get(FAILED, 0),
        counts.get(RETRIED, 0),
        *statistics.quantiles_ms(counts, WAITED, _SHARES),
        *statistics.quantiles_ms(counts, RAN, _SHARES),
    )


# BullMQ's metrics


async def _with_metrics(queue: Queue, points: Sequence[Point], step_ms: int) -> list[Point]:
    minutes = len(points) * step_ms // MINUTE.step_ms
    by_step: list[defaultdict[int, int]] = []
    for ended in await asyncio.gather(*(_metrics(queue, state, minutes) for state in ("completed", "failed"))):
        of_step: defaultdict[int, int] = defaultdict(int)
        for minute, count in ended.items():
            of_step[minute * MINUTE.step_ms // step_ms * step_ms] += count
        by_step.append(of_step)
    completed, failed = by_step
    return [_at_least(point, completed.get(point.at_ms, 0), failed.get(point.at_ms, 0)) for point in points]


def _at_least(point: Point, completed: int, failed: int) -> Point:
    """The same, with the larger counts of both."""
    if completed <= point.completed and failed <= point.failed:
        return point
    return replace(point, completed=max(point.completed, completed), failed=max(point.failed, failed))


async def _metrics(queue: Queue, state: str, minutes: int) -> Mapping[int, int]:
    """How many jobs came to a state in each minute since 1970, of the last `minutes` that were counted.

    The list has the minutes before that of `prevTS`, the latest first; that one's own count is not in it yet. Source:
    collectMetrics in moveToFinished.
    """
    key = queue.keys.metrics(state)
    head, listed = await asyncio.gather(
        queue.client.call("HMGET", key, "count", "prevTS", "prevCount"),
        queue.client.call("LRANGE", f"{key}:data", 0, minutes - 1),
    )
    count, stamp_ms, before = map(_number, head)
    if not stamp_ms:
        return {}
    current = stamp_ms // MINUTE.step_ms
    past = {current - 1 - place: _number(text) for place, text in enumerate(listed)}
    return past | {current: count - before}


def _number(text: str | None) -> int:
    """What Redis holds as a number; 0 for what a foreign tool may have put there."""
    try:
        return int(float(text or 0))
    except (ValueError, OverflowError):
        return 0
