"""Wire: what a worker and its children say to each other, each message a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from jobqueue.children import Child, Children
from jobqueue.context import AbortCause, AbortReason, CronContext
from jobqueue.job import Backoff, Enqueued, PlainOptions
from jobqueue.worker.process.failures import Told, stand_in, tell
from jobqueue.worker.process.location import Location

CHUNK_BYTES: Final = 64 * 1024


class Limits(NamedTuple):
    """What a child may send at most. Units: bytes of JSON."""

    result_bytes: int
    payload_bytes: int

    @property
    def line_bytes(self) -> int:
        """The longest line: JSON inside JSON takes twice its size at most, and progress and traces are short beside."""
        return 2 * max(self.result_bytes, self.payload_bytes) + 16 * 1024 * 1024


Kind = Literal["job", "child"]


# To the child


class CronTold(NamedTuple):
    """What the run of a cron job is told of its row. Shape: the moment in ISO 8601."""

    expression: str | None
    last_completed_at: str | None
    unread: Told | None

    @classmethod
    def of(cls, cron: CronContext) -> CronTold:
        expression, completed_at, unread = cron.parts
        moment = None if completed_at is None else completed_at.isoformat()
        return cls(expression, moment, None if unread is None else tell(unread))

    @property
    def context(self) -> CronContext:
        completed_at = None if self.last_completed_at is None else datetime.fromisoformat(self.last_completed_at)
        return CronContext(self.expression, completed_at, None if self.unread is None else stand_in(self.unread))


class Order(NamedTuple):
    """Run this job. `fields` is its hash in Redis, `log_level` that of the worker's root logger."""

    location: Location
    queue: str
    job_id: str
    fields: dict[str, str]
    worker_name: str
    fence: int | None
    limits: Limits
    log_level: int
    cron: CronTold | None = None


class Stop(NamedTuple):
    """The run is told to stop."""

    cause: AbortCause
    message: str
    by: str | None

    @property
    def reason(self) -> AbortReason:
        return AbortReason(self.cause, self.message, self.by)


class Stored(NamedTuple):
    """The job that was asked for is stored. Invariant: `number` is that of the question."""

    number: int
    job_id: str
    name: str
    queue: str
    created: bool
    superseded: str | None
    outboxed: bool

    @property
    def enqueued(self) -> Enqueued:
        return Enqueued(self.job_id, self.name, self.queue, self.created, self.superseded, self.outboxed)


class Offspring(NamedTuple):
    """What became of the job's children. Shape: an object of each one's fields."""

    number: int
    children: list[dict[str, Any]]

    @classmethod
    def of(cls, number: int, children: Children) -> Offspring:
        return cls(number, [asdict(child) for child in children])

    @property
    def decoded(self) -> Children:
        return Children(Child(**fields) for fields in self.children)


class Refused(NamedTuple):
    """The question could not be answered."""

    number: int
    told: Told


# From the child


class Line(NamedTuple):
    """A line for the job's log."""

    text: str


class Record(NamedTuple):
    """What was logged with `logging` inside the job. Units: `created_s` seconds since the epoch."""

    name: str
    level: int
    text: str
    trace: str | None
    created_s: float
    file: str
    line: int
    function: str | None


class Progress(NamedTuple):
    """Progress of the job."""

    value_json: str


class AskJob(NamedTuple):
    """A job or a child to be enqueued; `module` is that of the handler, where not only its name was given."""

    number: int
    kind: Kind
    handler: str
    module: str | None
    payload_json: str
    options: dict[str, Any]


class AskFamily(NamedTuple):
    """What became of the job's children; or that those be removed which are still to run."""

    number: int
    wish: Literal["children", "remove_pending"]


class Result(NamedTuple):
    """The handler has returned."""

    result_json: str


class Unfit(NamedTuple):
    """The handler has returned what cannot be stored."""

    reason: str


class Failure(NamedTuple):
    """The handler has raised. After one that `is_last` the child is not fit for another job, and ends."""

    told: Told
    is_last: bool


Ask: TypeAlias = AskJob | AskFamily
Answer: TypeAlias = Stored | Offspring | Refused
ToChild: TypeAlias = Order | Stop | Answer
FromChild: TypeAlias = Line | Record | Progress | Ask | Result | Unfit | Failure


def _order(*parts: Any) -> Order:
    order = Order(*parts)
    cron = None if order.cron is None else _cron_told(*order.cron)
    return order._replace(location=Location(*order.location), limits=Limits(*order.limits), cron=cron)


def _cron_told(*parts: Any) -> CronTold:
    cron = CronTold(*parts)
    return cron if cron.unread is None else cron._replace(unread=Told(*cron.unread))


def _refused(*parts: Any) -> Refused:
    refused = Refused(*parts)
    return refused._replace(told=Told(*refused.told))


def _failure(*parts: Any) -> Failure:
    failure = Failure(*parts)
    return failure._replace(told=Told(*failure.told))


_TO_CHILD: Mapping[str, Callable[..., ToChild]] = {
    "Order": _order,
    "Stop": Stop,
    "Stored": Stored,
    "Offspring": Offspring,
    "Refused": _refused,
}
_FROM_CHILD: Mapping[str, Callable[..., FromChild]] = {
    "Line": Line,
    "Record": Record,
    "Progress": Progress,
    "AskJob": AskJob,
    "AskFamily": AskFamily,
    "Result": Result,
    "Unfit": Unfit,
    "Failure": _failure,
}


def encode(message: ToChild | FromChild) -> bytes:
    """One line. Shape: an array of the message's name and its fields.

    A job's hash may hold text that is not UTF-8, which Python keeps as lone surrogates: they pass as they are.
    """
    text = json.dumps([type(message).__name__, *message], ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="surrogatepass") + b"\n"


def decode_to_child(line: bytes) -> ToChild:
    """Raises: ValueError, TypeError or KeyError where it is no message of a worker's."""
    name, *fields = _parts(line)
    return _TO_CHILD[name](*fields)


def decode_from_child(line: bytes) -> FromChild:
    """Raises: ValueError, TypeError or KeyError where it is no message of a child's."""
    name, *fields = _parts(line)
    return _FROM_CHILD[name](*fields)


def _parts(line: bytes) -> list[Any]:
    return cast(list[Any], json.loads(line.decode(errors="surrogatepass")))


class Lines:
    """Cuts a stream of bytes into lines."""

    def __init__(self) -> None:
        self._rest = bytearray()

    @property
    def pending_bytes(self) -> int:
        """How much has come of a line that has not ended."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in these bytes."""
        if b"\n" not in data:
            self._rest += data
            return []
        first, *lines = data.split(b"\n")
        lines.insert(0, bytes(self._rest) + first)
        self._rest = bytearray(lines.pop())
        return lines


# What a caller asked for one job


def encode_options(options: PlainOptions) -> dict[str, Any]:
    """Options that have been checked, as JSON has them."""
    encoded: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    run_at, backoff = options.get("run_at"), options.get("backoff")
    if run_at is not None:
        encoded["run_at"] = run_at.isoformat()
    if isinstance(backoff, Backoff):
        encoded["backoff"] = {"kind": backoff.kind, "delay_ms": backoff.delay_ms, "jitter": backoff.jitter}
    return encoded


def decode_options(encoded: Mapping[str, Any]) -> PlainOptions:
    """What was asked for, that of the outbox and of a child included."""
    options: dict[str, Any] = dict(encoded)
    if "run_at" in options:
        options["run_at"] = datetime.fromisoformat(options["run_at"])
    if isinstance(options.get("backoff"), dict):
        options["backoff"] = Backoff(**options["backoff"])
    if "related" in options:
        options["related"] = tuple(options["related"])
    return cast(PlainOptions, options)
