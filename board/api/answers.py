"""Answers: the JSON of the admin routes, by type. The routes are checked against them, and OpenAPI is made of them."""

from __future__ import annotations

from typing import Any, Generic, Literal, NotRequired, TypeVar

# Pydantic describes no other TypedDict before Python 3.12.
from typing_extensions import TypedDict

from jobqueue.cron.table import Misfire, Overlap, Source
from jobqueue.job import JobType, State

T = TypeVar("T")


class Data(TypedDict, Generic[T]):
    data: T


class RelatedShown(TypedDict):
    type: str
    id: str


class TurnShown(TypedDict):
    """What a parked job waits for: some of the jobs that go first."""

    kind: Literal["orderKey", "limit"]
    name: str
    holders: list[str]
    holderCount: int


class JobOfAnyKind(TypedDict):
    jobId: str
    queue: str
    state: State
    cancelled: bool
    waitsFor: TurnShown | None
    runAt: int | None
    logs: NotRequired[list[str]]
    logCount: NotRequired[int]


class JobShown(JobOfAnyKind):
    """A job. Times are epoch milliseconds. Lists leave `logs` and `logCount` out."""

    name: str
    type: JobType
    payload: Any
    result: Any
    failedReason: str | None
    stacktrace: list[str]
    attemptsMade: int
    attempts: int
    priority: int
    progress: Any
    createdBy: str | None
    dedupeKey: str | None
    orderKey: str | None
    related: RelatedShown | None
    timeoutMs: int | None
    expiresAt: int | None
    processedBy: str | None
    enqueuedAt: int
    processedAt: int | None
    finishedAt: int | None


class UnreadableJob(JobOfAnyKind):
    """A job whose hash cannot be read: why, and its fields as they are."""

    name: str | None
    problem: str | None
    raw: dict[str, str]


class JobPage(TypedDict):
    """Some of the jobs.

    Where not all could be looked at `total` is null, and `scannedTo` is the `scanFrom` that looks further.
    """

    data: list[JobShown | UnreadableJob]
    total: int | None
    complete: bool
    scannedTo: int | None


class EnqueuedShown(TypedDict):
    jobId: str
    name: str
    queue: str
    enqueuedAt: int | None
    created: bool
    superseded: str | None
    outboxed: bool


class CancellingShown(TypedDict):
    jobId: str
    state: Literal["cancelled", "cancelling"]


class QueueShown(TypedDict):
    """A queue; `refused` says why it is not served, and `counts` is empty then."""

    name: str
    paused: bool
    counts: dict[str, int]
    refused: str | None


class RemovedShown(TypedDict):
    """`complete` is false where the time was up before all were removed."""

    removed: int
    complete: bool


class BulkShown(TypedDict):
    """What came of an act on many jobs; `problems` are the first ones, by job id."""

    done: int
    refused: int
    problems: dict[str, str]
    complete: bool


class LimitShown(TypedDict):
    max: int
    partitioned: bool


class RateLimitShown(TypedDict):
    max: int
    perMs: int


class KeepShown(TypedDict):
    ageS: int | None
    count: int | None


class BackoffShown(TypedDict):
    type: Literal["fixed", "exponential", "function"]
    delayMs: int | None
    jitter: float | None


class PolicyShown(TypedDict):
    queue: str
    attempts: int
    backoff: BackoffShown
    timeoutMs: int | None
    graceMs: int
    firstDelayMs: int
    priority: int
    duplicates: str
    ordered: bool
    concurrency: LimitShown | None
    rateLimit: RateLimitShown | None
    ack: str
    runIn: str | None
    keepCompleted: KeepShown
    keepFailed: KeepShown
    keepLogs: int
    maxClaims: int
    unrecoverable: list[str]


class HandlerShown(TypedDict):
    name: str
    pattern: str
    policy: PolicyShown
    payloadSchema: dict[str, Any] | None


class CronJobShown(TypedDict):
    """A cron job. Times are epoch milliseconds."""

    id: str
    jobId: str
    name: str
    description: str | None
    pattern: str
    timezone: str
    handler: str
    payload: Any
    priority: int
    enabled: bool
    maxAttempts: int
    backoffMs: int
    overlap: Overlap
    misfire: Misfire
    source: Source
    createdBy: str | None
    createdAt: int | None
    updatedAt: int | None
    nextRunAt: int | None
    lastRunAt: int | None
    lastStatus: str | None
    lastJobId: str | None
    lastCompletedAt: int | None


class CronJobPage(TypedDict):
    data: list[CronJobShown]
    total: int


class TriggeredShown(TypedDict):
    jobId: str
    handler: str


class OutboxQueueShown(TypedDict):
    """A queue's rows by state: as many as `countedTo` mean so many or more. `spilledAt` is null where it has room."""

    queue: str
    waiting: int
    setAside: int
    countedTo: int
    oldestAt: int | None
    spilledAt: int | None


class OutboxShown(TypedDict):
    """`relay` is whether somebody moves rows now, null where Redis cannot be asked; then nobody knows of overflows."""

    relay: bool | None
    queues: list[OutboxQueueShown]


class OutboxRowShown(TypedDict):
    """A job on its way. Times are epoch milliseconds. A list leaves out a large payload: `whole` is false.

    Where the row cannot be read `problem` says why, and `raw` has its data.
    """

    id: int
    state: Literal["waiting", "setAside"]
    queue: str
    handler: str
    jobId: str
    origin: str
    createdAt: int
    attempts: int
    lastError: str | None
    nextTryAt: int | None
    setAsideAt: int | None
    payload: Any
    asked: dict[str, Any]
    whole: bool
    problem: str | None
    raw: str | None


class OutboxRowPage(TypedDict):
    """Rows that wait in the order in which they go, those set aside the latest first; `next` is `after` of the page
    that follows, or null.
    """

    data: list[OutboxRowShown]
    next: str | None


class TreatedShown(TypedDict):
    """`complete` is false where the time was up before all were treated."""

    done: int
    complete: bool


class RunningJobShown(TypedDict):
    queue: str
    jobId: str
    name: str | None
    startedAt: int | None


class WorkerShown(TypedDict):
    name: str
    host: str | None
    pid: int | None
    version: str | None
    language: Literal["python", "node", "unknown"]
    queues: list[str]
    concurrency: int | None
    startedAt: int | None
    seenAt: int | None
    active: list[RunningJobShown]
    activeCount: int | None


class AuditEntryShown(TypedDict):
    """Who did what, and what came of it; `outcome` is null while it is not finished."""

    id: str
    at: int
    actor: str
    via: str
    action: str
    queue: str | None
    target: str | None
    details: dict[str, Any]
    outcome: str | None
    count: int | None
    finishedAt: int | None
    requestId: str | None


class AuditPageShown(TypedDict):
    """Newest first; `next` is the `before` of the page that follows, or null."""

    data: list[AuditEntryShown]
    next: str | None


class StatusShown(TypedDict):
    status: Literal["ok"]
    redis: NotRequired[Literal["ok"]]
    database: NotRequired[Literal["ok"]]


class ProblemShown(TypedDict):
    """What went wrong: a word for programs, a sentence, the fault of each field, and the job that is in the way."""

    error: str
    message: str
    fieldErrors: NotRequired[dict[str, str]]
    jobId: NotRequired[str]
    requestId: str
