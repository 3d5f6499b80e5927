"""Transitions: what a queue is asked to do with a job, and what it answered. Frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

from jobqueue.job import Keep
from jobqueue.packing import Entries, pack_entries
from jobqueue.wire import NOTHING, Fetched

_NO_FIELDS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims: a token of its own for each slot, the worker's name, and how long its locks live."""

    token: str
    worker_name: str
    lock_ms: int
    packed: Entries = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fields = {"token": self.token, "lockDuration": self.lock_ms, "name": self.worker_name}
        object.__setattr__(self, "packed", pack_entries(fields))


class Creator(NamedTuple):
    """The run of a handler that enqueues a job: the queue and the lock of its own job, and its token."""

    queue: str
    lock: str
    token: str


class Terms(NamedTuple):
    """On what terms a job is added.

    `below`: only while fewer jobs than that wait or run; 0 is any number. `row` is the key of the outbox's row that it
    comes from, of which it is made once, and only while the relay's `hold` is the latest. `lock`: only while it has
    `token`, which is so while the creator's job is this run's.
    """

    below: int = 0
    row: str = ""
    hold: str = ""
    lock: str = ""
    token: str = ""


ANY_TERMS = Terms()


class Added(NamedTuple):
    """What an add answered. `created` is False where the job id existed; then nothing was stored. What is `outboxed`
    stands in the table of the outbox, and will be in Redis.
    """

    job_id: str
    created: bool = True
    superseded: str | None = None
    outboxed: bool = False


class Finish(NamedTuple):
    """How a job ends: `value` is the result's JSON, or the reason of a failure. `heeds` says that a mark made it so."""

    state: Literal["completed", "failed"]
    value: str
    keep: Keep
    fields: Mapping[str, str] = _NO_FIELDS
    heeds: bool = False


class Stalled(NamedTuple):
    """Jobs that a stalled check has put back, and how long until the next one is due, whoever makes it."""

    job_ids: tuple[str, ...]
    next_ms: int


class Delay(NamedTuple):
    """How long a job waits for its next try, and whether the last one `counts` as an attempt."""

    delay_ms: int
    counts: bool
    fields: Mapping[str, str] = _NO_FIELDS

    @property
    def failure(self) -> str | None:
        """Why the last try failed, if it did."""
        return self.fields.get("failedReason")


MarkKind = Literal["superseded", "cancelled", "acknowledged", "childless"]


class Mark(NamedTuple):
    """What is known elsewhere of a job: the newer job that superseded it, why it is cancelled, how its work ended; or
    that none of its children is unfinished.
    """

    kind: MarkKind
    value: str


class Ended(NamedTuple):
    """What ending a try answered: the next job; or the mark because of which nothing was done."""

    next: Fetched
    mark: Mark | None = None


class Entry(NamedTuple):
    """Whether a job with ties may run now.

    `run` with the fence of its lock, 0 without; `marked`; `duplicate` or `busy` with the other job; `booked` with the
    ms until its turn; `parked` with the job that was claimed in its place; `lost` where it is not this worker's.
    """

    verdict: Literal["run", "marked", "duplicate", "busy", "booked", "parked", "lost"]
    fence: int = 0
    mark: Mark | None = None
    other: str = ""
    wait_ms: int = 0
    next: Fetched = NOTHING
