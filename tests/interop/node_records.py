"""What Node tells of a queue, as frozen records: here, and nowhere else in the tests, its names are ours."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class NodeJob(_Record):
    """A job as Node's own `Job` object shows it, with its state and log."""

    id: str
    name: str
    state: str
    data: JsonValue
    opts: dict[str, JsonValue]
    progress: JsonValue
    has_returnvalue: bool
    returnvalue: JsonValue
    failed_reason: str | None
    stacktrace: list[str]
    attempts_made: int
    attempts_started: int
    stalled_counter: int
    delay: int
    priority: int
    timestamp: int
    processed_on: int | None
    finished_on: int | None
    processed_by: str | None
    repeat_job_key: str | None
    parent_key: str | None
    logs: list[str]


class NodeResult(_Record):
    """A finished job's id and return value."""

    id: str
    returnvalue: JsonValue = None


class NodeWorker(_Record):
    """A worker as `Queue.getWorkers` finds it: `rawname` is the connection's client name in Redis."""

    id: str
    name: str
    rawname: str
    addr: str


class NodeScheduler(_Record):
    """A job scheduler as `Queue.getJobSchedulers` shows it; `next` is epoch milliseconds."""

    key: str
    name: str
    next: int
    iteration_count: int | None = None
    pattern: str | None = None
    every: int | None = None
    tz: str | None = None
    offset: int | None = None
    limit: int | None = None
    start_date: int | None = None
    end_date: int | None = None
    template: dict[str, JsonValue] | None = None


class NodeMetricsMeta(_Record):
    """How many jobs in all, and the count at the end of the last whole minute that was written."""

    count: int
    prev_ts: int = Field(alias="prevTS")
    prev_count: int


class NodeMetrics(_Record):
    """Finished jobs per minute: `data` holds the minutes that are over, newest first."""

    meta: NodeMetricsMeta
    data: list[int]
    count: int


class NodeEvent(BaseModel):
    """One event of the stream; what it carries beside the job's id depends on its kind."""

    model_config = ConfigDict(frozen=True, extra="allow", alias_generator=to_camel)

    event: str
    job_id: str | None = None
    prev: str | None = None
    name: str | None = None
    returnvalue: JsonValue = None
    failed_reason: str | None = None
    data: JsonValue = None
    delay: int | None = None


class NodeSuperseding(_Record):
    """What an add in Node that claimed its lane came to."""

    job_id: str
    superseded: str | None


class NodeFlow(_Record):
    """The ids that a flow's jobs were given."""

    id: str
    queue: str
    children: list[NodeFlow]


class NodeRaw(_Record):
    """A job's hash and the queue's meta hash, as they stand in Redis."""

    state: str
    hash: dict[str, str]
    meta: dict[str, str]


class NodeVersion(_Record):
    """The versions that the peer really runs."""

    node: str
    bullmq: str
    ioredis: str
