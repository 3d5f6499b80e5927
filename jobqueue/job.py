"""Job: what is stored, what was asked for, and how a try is timed. Frozen data.

The records that a worker makes for each job are named tuples, which take a fifth of a frozen dataclass's time.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple, Protocol, TypeAlias, TypedDict, TypeGuard

from pydantic import ConfigDict, Field, StrictInt
from pydantic.dataclasses import dataclass as checked_dataclass

from jobqueue.errors import LONGEST_DELAY_MS

State = Literal[
    "waiting",
    "prioritized",
    "delayed",
    "active",
    "completed",
    "failed",
    "waiting-children",
    "paused",
    "unknown",
]
JobType = Literal["adhoc", "cron", "cronTrigger"]

QUEUE_NAME = r"[^:{}\x00-\x1f\x7f]{1,200}"

Positive: TypeAlias = Annotated[StrictInt, Field(ge=1, le=LONGEST_DELAY_MS)]
NonNegative: TypeAlias = Annotated[StrictInt, Field(ge=0, le=LONGEST_DELAY_MS)]

DAY_S = 24 * 60 * 60
MAX_PRIORITY = 2_097_151
MAX_ATTEMPTS = 1_000_000
MAX_DELAY_MS = LONGEST_DELAY_MS
MAX_NAME_LENGTH: Final = 200
CANCELLED: Final = "Cancelled: "
"""How the reason of a failed job begins that was cancelled."""
MAX_ORDER_KEY_LENGTH: Final = 2 * MAX_NAME_LENGTH + 1
"""Of one that is stored: it may be made of the two names of a related object and a colon."""
MAX_ID_LENGTH: Final = 255
_DOUBLINGS = 50
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_EXACT = ConfigDict(extra="forbid")


def is_plain_text(value: object, most: int) -> TypeGuard[str]:
    """True for a text of 1 to `most` characters that a key, a log line and a page can hold.

    That is: without control characters, and without halves of a surrogate pair, which are not Unicode.
    """
    return isinstance(value, str) and 1 <= len(value) <= most and not _CONTROL.search(value)


@checked_dataclass(frozen=True, slots=True, kw_only=True, config=_EXACT)
class Backoff:
    """How long a job waits before its next try.

    Units: `delay_ms` milliseconds; `jitter` the share of the delay (0 to 1) that is drawn at random.
    Raises: ValueError, naming the field. Source: Node's Backoffs (fixed, exponential).
    """

    kind: Literal["fixed", "exponential"]
    delay_ms: NonNegative
    jitter: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.0

    def delay_before(self, attempt: int) -> int:
        """Milliseconds before the try that follows the failed try number `attempt` (1 is the first)."""
        whole = self.delay_ms if self.kind == "fixed" else self.delay_ms * 2 ** min(attempt - 1, _DOUBLINGS)
        whole = min(whole, MAX_DELAY_MS)
        if self.jitter == 0:
            return whole
        return int(whole * (1 - self.jitter) + random.random() * whole * self.jitter)


BackoffFunction: TypeAlias = Callable[[int, BaseException], int]
"""(number of the failed try, its error) -> milliseconds to wait."""


def exponential(delay_ms: int, *, jitter: float = 0.0) -> Backoff:
    """Wait `delay_ms`, then twice, four times, … that."""
    return Backoff(kind="exponential", delay_ms=delay_ms, jitter=jitter)


def fixed(delay_ms: int, *, jitter: float = 0.0) -> Backoff:
    """Wait `delay_ms` each time."""
    return Backoff(kind="fixed", delay_ms=delay_ms, jitter=jitter)


@checked_dataclass(frozen=True, slots=True, config=_EXACT)
class Keep:
    """How long and how many finished jobs of a state stay. None means without that limit.

    Raises: ValueError, naming the field.
    """

    age_s: NonNegative | None = None
    count: NonNegative | None = None


KEEP_COMPLETED = Keep(age_s=7 * DAY_S, count=10_000)
KEEP_FAILED = Keep(age_s=30 * DAY_S, count=10_000)


class Related(NamedTuple):
    """The object of the service that a job is about, such as ("order", "7")."""

    type: str
    id: str


class DatabaseSession(Protocol):
    """What a job may be written with: an AsyncSession of SQLAlchemy, on the database of DATABASE_URL."""

    async def connection(self) -> Any: ...


class PlainOptions(TypedDict, total=False):
    """What a caller may ask for any job; what is absent comes from the handler's policy."""

    delay_ms: int
    run_at: datetime
    priority: int
    attempts: int
    backoff: Backoff | int
    timeout_ms: int
    job_id: str
    queue: str
    order_key: str
    related: tuple[str, str]
    created_by: str
    expires_in_ms: int


class EnqueueOptions(PlainOptions, total=False):
    """What a caller may ask for a job that he enqueues.

    With `session` the job is written in its transaction and exists if and only if that commits. `bypass_outbox` stores
    it in Redis however full the queue is.
    """

    bypass_outbox: bool
    session: DatabaseSession


class OutcomeSource(Protocol):
    """Whoever can tell how a job ended; of one that `is_coming` also where Redis does not have it yet."""

    async def wait_for(self, queue: str, job_id: str, timeout_s: float | None, *, is_coming: bool = False) -> Any: ...


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The answer to an enqueue.

    `created` is False where a job of that `job_id` already existed, in any state: nothing was stored. (Also where the
    answer to the first call was lost and asking again found the job that it had stored.)
    `superseded` is the id of the job that this one replaced in its lane.
    What is `outboxed` stands in the database, and goes on to Redis when its transaction has committed and its queue has
    room; whether it then is new or replaces another is not known here.
    """

    job_id: str
    name: str
    queue: str
    created: bool = True
    superseded: str | None = None
    outboxed: bool = False
    _outcomes: OutcomeSource | None = field(default=None, repr=False, compare=False)

    async def wait(self, timeout_s: float | None = None) -> Any:
        """The handler's return value, as JSON gives it back.

        Raises: JobFailed with the reason; JobNotFound; TimeoutError after `timeout_s` seconds, also for a job whose
        transaction was rolled back.
        """
        if self._outcomes is None:
            raise RuntimeError("this result was made without an app, so it cannot wait")
        return await self._outcomes.wait_for(self.queue, self.job_id, timeout_s, is_coming=self.outboxed)


class Envelope(NamedTuple):
    """The job's data as we write it: the payload and what travels beside it.

    Units: `expires_at_ms` epoch milliseconds, after which the job no longer starts. `overlap` and `misfire` are of a
    cron job's slots only: None lets them run beside each other, and late.
    """

    payload: Any
    type: JobType = "adhoc"
    id: str | None = None
    dedupe_key: str | None = None
    created_by: str | None = None
    timeout_ms: int | None = None
    related: Related | None = None
    order_key: str | None = None
    expires_at_ms: int | None = None
    overlap: Literal["skip", "queue"] | None = None
    misfire: Literal["skip"] | None = None

    def __repr__(self) -> str:
        """Without the payload: a record is easily logged, and the secrets in it are in clear."""
        told = zip(self._fields, self, strict=True)
        return f"Envelope({', '.join(f'{name}={value!r}' for name, value in told if name != 'payload')})"


class JobOptions(Mapping[str, Any]):
    """BullMQ's options of a job as they are stored, under their names on the wire.

    Jobs that were stored with the same text share one; what is worked out from it is worked out once. So it is equal
    to itself only.
    """

    __slots__ = ("_stored",)

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._stored = stored

    def __getitem__(self, name: str) -> Any:
        return self._stored[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @property
    def attempts(self) -> int:
        """Total tries; a foreign job may say 0, which means 1."""
        attempts = self._stored.get("attempts")
        return min(max(attempts, 1), MAX_ATTEMPTS) if isinstance(attempts, int) else 1

    @property
    def delay_ms(self) -> int:
        """How long after it was enqueued the job was to start; the hash's own delay is gone once it is due."""
        delay = self._stored.get("delay")
        return delay if isinstance(delay, int) and delay > 0 else 0

    def __repr__(self) -> str:
        return f"JobOptions({self._stored!r})"


class Job(NamedTuple):
    """A job as it is stored, read once; it does not change when Redis does.

    Units: `_ms` fields are epoch milliseconds, or None where that has not happened.
    """

    id: str
    queue: str
    name: str
    envelope: Envelope
    options: JobOptions
    enqueued_at_ms: int
    delay_ms: int = 0
    priority: int = 0
    attempts_made: int = 0
    attempts_started: int = 0
    stalled_count: int = 0
    scheduler_id: str | None = None
    deferred_failure: str | None = None
    processed_at_ms: int | None = None
    finished_at_ms: int | None = None
    processed_by: str | None = None
    parent_key: str | None = None
    progress: Any = None
    result: Any = None
    failed_reason: str | None = None
    stacktrace: tuple[str, ...] = ()

    @property
    def attempt(self) -> int:
        """The number of the current try, 1 for the first."""
        return self.attempts_made + 1

    @property
    def attempts(self) -> int:
        """Total tries that the job has."""
        return self.options.attempts

    @property
    def slot_ms(self) -> int:
        """When the job was meant to run: the slot of a scheduler's job, else the time of enqueueing."""
        if self.scheduler_id is not None:
            slot = self.id.rpartition(":")[2]
            if slot.isascii() and slot.isdigit():
                return int(slot)
        return self.enqueued_at_ms
