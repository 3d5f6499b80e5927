"""Views: queues and jobs as a screen shows them. Frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from jobqueue.job import Job, Related, State

STATES: Final[tuple[State, ...]] = tuple(state for state in get_args(State) if state != "unknown")
"""The states that a job can be listed by, in BullMQ's words."""

FINISHED: Final[tuple[State, ...]] = ("completed", "failed")
"""The states that are listed by finish time."""

MAX_LIMIT: Final = 100
MAX_OFFSET: Final = 2**53


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue as a screen shows it.

    `counts` has every state of STATES. `refused` says why the queue is not served (BullMQ 5 data); the counts are
    empty then.
    """

    name: str
    paused: bool = False
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What a parked job waits for: an order key, or the limit of a handler (`handler`, or `handler:partition`).

    `holders` are the jobs that go first, some of `holder_count`; none where the holder was removed and the repair has
    not come round yet.
    """

    kind: Literal["order key", "limit"]
    name: str
    holders: tuple[str, ...]
    holder_count: int


@dataclass(frozen=True, slots=True)
class Kin:
    """A job as another one's page names it. `name` is None and `state` unknown where the job is gone."""

    queue: str
    id: str
    name: str | None
    state: State


@dataclass(frozen=True, slots=True)
class FoundJobs:
    """The jobs of one id, in the order of their queues; `more` queues have one too."""

    jobs: tuple[Kin, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Branch:
    """A job of a flow with the jobs that it waits for or has waited for. `more` of them are not shown."""

    kin: Kin
    children: tuple[Branch, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Family:
    """Where a job comes from, and what came of it.

    `created` are the jobs that its handler enqueued, the latest first, some of `created_count`. `flow` is the tree
    that the job is in, from its root; None where it has neither parent nor children.
    """

    creator: Kin | None
    created: tuple[Kin, ...]
    created_count: int
    flow: Branch | None


@dataclass(frozen=True, slots=True)
class Gate:
    """An order key or a limit before which `parked` jobs wait. `holders` are some of the jobs that go first."""

    kind: Literal["order key", "limit"]
    name: str
    holders: tuple[str, ...]
    parked: int


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened to a job, or will. Units: `at_ms` epoch milliseconds.

    "delayed until" is when it was or is meant to start, unless it finished before; "started" its last try, of which
    alone the time is kept.
    """

    what: Literal["enqueued", "delayed until", "started", "finished"]
    at_ms: int


@dataclass(frozen=True, slots=True)
class Dedupe:
    """What makes a job one of a kind, and the job that holds it now.

    "superseding": a lane, in which the newest one replaces the others; "unique": the object, or the cron job, beside
    whose unfinished job there is no other; "bullmq": BullMQ's own deduplication.
    """

    kind: Literal["superseding", "unique", "bullmq"]
    key: str
    holder: str | None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs of a list are wanted: every field that is set must hold.

    Units: `from_ms` and `to_ms` epoch milliseconds, inclusive, of the time that the list is ordered by: the finish of a
    finished job, else its enqueueing. `text` is looked for in id, name, payload and the reason of a failure, in any
    letter case, and in what a screen shows only: nobody can find out by it what is masked.
    """

    name: str | None = None
    related: Related | None = None
    created_by: str | None = None
    order_key: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    text: str | None = None
    cancelled: bool | None = None


EVERYTHING: Final = JobFilter()


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as a screen shows it; its payload, result, progress and options are masked.

    Invariant: where the hash cannot be read `job` is None, `problem` says why and `raw` has its fields; else `raw` is
    empty. Units: `run_at_ms` epoch milliseconds, set while the job is delayed. `logs` are the last MAX_LOG_LINES of
    `log_count` lines; a list leaves them out. `cancelled` tells a failed job that was cancelled from the others.
    `turn` is set while the job is parked. `creator` is the job that enqueued this one, where its queue still has it;
    `parent` the one that waits for it; `timeline` is in order of time. A list leaves these three and `dedupe` out.
    """

    queue: str
    id: str
    state: State
    job: Job | None
    problem: str | None = None
    raw: Mapping[str, str] = field(default_factory=dict[str, str])
    run_at_ms: int | None = None
    logs: tuple[str, ...] = ()
    log_count: int = 0
    cancelled: bool = False
    turn: Turn | None = None
    creator: str | None = None
    parent: Kin | None = None
    timeline: tuple[Moment, ...] = ()
    dedupe: tuple[Dedupe, ...] = ()

    @property
    def cron_row(self) -> str | None:
        """The id of the cron job that this is a run of."""
        return None if self.job is None or self.job.envelope.type == "adhoc" else self.job.envelope.id


@dataclass(frozen=True, slots=True)
class JobList:
    """One page of the jobs in a state or in all, newest first. `offset` and `limit` are those that were used.

    `total` is None where there are more jobs than a filter looks at, so nobody has counted those that match;
    `scanned_to` is then what to pass as `scan_from` to look at the ones behind them.
    """

    jobs: tuple[JobView, ...]
    total: int | None
    offset: int
    limit: int
    scanned_to: int | None = None

    @property
    def complete(self) -> bool:
        """True where every job of the state was looked at."""
        return self.total is not None
