"""Views: queues and jobs as a screen shows them. Frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from jobqueue.job import Job, State

STATES: Final[tuple[State, ...]] = tuple(state for state in get_args(State) if state != "unknown")
"""The states that a job can be listed by, in BullMQ's words."""

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
class JobView:
    """A job as a screen shows it; its payload, result, progress and options are masked.

    Invariant: where the hash cannot be read `job` is None, `problem` says why and `raw` has its fields; else `raw` is
    empty. Units: `run_at_ms` epoch milliseconds, set while the job is delayed. `logs` are the last MAX_LOG_LINES of
    `log_count` lines; a list leaves them out. `cancelled` tells a failed job that was cancelled from the others.
    `turn` is set while the job is parked. `creator` is the job that enqueued this one, where its queue still has it; a
    list leaves it out.
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


@dataclass(frozen=True, slots=True)
class JobList:
    """One page of the jobs in a state, newest first. `offset` and `limit` are those that were used.

    `total` is None where there are more jobs than a filter looks at, so nobody has counted those that match.
    """

    jobs: tuple[JobView, ...]
    total: int | None
    offset: int
    limit: int

    @property
    def complete(self) -> bool:
        """True where every job of the state was looked at."""
        return self.total is not None
