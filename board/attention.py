"""Attention: what a person on call should see first, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from jobqueue.inspector import QueueView
from jobqueue.inspector.statistics import Statistics

MAX_WAIT_MS: Final = 5 * 60_000
"""A job that could have run for so long and has not is worth a look."""

_TO_RUN: Final = ("waiting", "prioritized")

Kind = Literal["refused", "no worker", "set aside", "late", "overflow", "failed", "paused"]
_WORST_FIRST: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue with what the overview says of it.

    Units: `oldest_at_ms` epoch milliseconds, since when its oldest job could have run. `workers` is how many serve it.
    `statistics` are of the last hour; None where the queue is refused.
    """

    view: QueueView
    workers: int
    oldest_at_ms: int | None
    statistics: Statistics | None

    @property
    def to_run(self) -> int:
        return sum(self.view.counts.get(state, 0) for state in _TO_RUN)


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that is wrong with one queue; `count` jobs are concerned.

    Where jobs have failed it is `count` of `ended`, and `stored` of all that ever failed can still be retried. Of jobs
    that are set aside before they were in Redis it is LEAST_COUNTED at most; of an overflow `since_ms` is the last one.
    """

    kind: Kind
    queue: str
    count: int = 0
    since_ms: int | None = None
    ended: int = 0
    stored: int = 0


def attention(
    rows: Iterable[QueueRow], now_ms: int, set_aside: Mapping[str, int], overflowing: Mapping[str, int]
) -> tuple[Alert, ...]:
    """All that is wrong, worst first, and within a kind the queues with the most jobs first.

    `set_aside` has how many jobs of a queue are set aside in the outbox, `overflowing` when the last one was spilled.
    """
    alerts = [alert for row in rows for alert in _of(row, now_ms)]
    alerts += [Alert("set aside", queue, count) for queue, count in set_aside.items()]
    alerts += [Alert("overflow", queue, since_ms=at_ms) for queue, at_ms in overflowing.items()]
    return tuple(sorted(alerts, key=lambda alert: (_WORST_FIRST.index(alert.kind), -alert.count, alert.queue)))


def oldest(waiting: Mapping[str, int]) -> int | None:
    """The earliest of what each handler's oldest job could have started at."""
    return min(waiting.values(), default=None)


def _of(row: QueueRow, now_ms: int) -> Iterator[Alert]:
    name = row.view.name
    if row.view.refused:
        yield Alert("refused", name)
        return
    if row.view.paused:
        yield Alert("paused", name, row.to_run)
    elif row.to_run and not row.workers:
        yield Alert("no worker", name, row.to_run, row.oldest_at_ms)
    elif row.oldest_at_ms is not None and now_ms - row.oldest_at_ms > MAX_WAIT_MS:
        yield Alert("late", name, row.to_run, row.oldest_at_ms)
    if row.statistics is not None and (failed := row.statistics.total.failed):
        ended, stored = failed + row.statistics.total.completed, row.view.counts.get("failed", 0)
        yield Alert("failed", name, failed, ended=ended, stored=stored)
