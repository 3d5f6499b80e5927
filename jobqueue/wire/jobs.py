"""Jobs: what the add scripts take, what a claim answers, and a job's hash as our record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeVar, cast

from jobqueue import encoding
from jobqueue.errors import MalformedJob
from jobqueue.job import Job, JobOptions
from jobqueue.packing import Entries, join_entries, pack, pack_entries, packed_map
from jobqueue.ties import NO_TIES, Ties
from jobqueue.wire.data import decode_data

_SHARED_OPTIONS_LENGTH = 2_000
_MOST_EXACT = 2**53
_CLAIM_FIELDS = frozenset({"processedOn", "ats", "pb", "stc", "defa"})
_COUNTS = ("atm", "ats", "stc")
"""What scripts add 1 to."""

T = TypeVar("T")

OnFailure = Literal["fail_parent", "continue_parent", "ignore", "remove"]
"""What becomes of a parent whose child has failed for good; without one it waits until the child is retried."""

PLACE = "place"
"""The option of a child that says where it stands among its brothers; BullMQ keeps it and passes it over."""

TELEMETRY = "tm"
"""The option with the context of a trace: what a propagator wrote, as a JSON object in a string."""

_ON_FAILURE: Mapping[OnFailure, str] = {
    "fail_parent": "fpof",
    "continue_parent": "cpof",
    "ignore": "idof",
    "remove": "rdof",
}
_NO_PARENT = (None, None, None)


class ParentRef(NamedTuple):
    """The job that a new one is a child of, what the child's failure means to it, and where the child stands.

    `queue_key` is the parent's key base without the last colon. `place` orders children that were added in one
    millisecond.
    """

    id: str
    queue_key: str
    on_failure: OnFailure | None = None
    place: int = 0

    @property
    def key(self) -> str:
        return f"{self.queue_key}:{self.id}"


class NewJob(NamedTuple):
    """A job on its way to Redis: everything is validated and encoded.

    `has_children` is True for one that waits for jobs which are stored with it. `is_traced`: its options are its own,
    since they carry the context of a trace.
    """

    queue: str
    name: str
    data: str
    job_id: str | None
    timestamp_ms: int
    delay_ms: int
    priority: int
    options: Entries
    ties: Ties = NO_TIES
    parent: ParentRef | None = None
    has_children: bool = False
    is_traced: bool = False


def traced(job: NewJob, carried: str | None) -> NewJob:
    """The job with the context of a trace, so that whoever runs it goes on with that trace; as it is without one.

    Source: Node `Queue.add`, which stores `opts.telemetry.metadata` as `tm`.
    """
    if carried is None:
        return job
    context = pack_entries({TELEMETRY: carried})
    options = Entries(job.options.size + context.size, job.options.packed + context.packed)
    return job._replace(options=options, is_traced=True)


def traced_fields(fields: Mapping[str, str], carried: str | None) -> Mapping[str, str]:
    """A job's hash as it is handed on in the midst of a trace; as it is without one."""
    if carried is None:
        return fields
    options = encoding.as_object(encoding.decode_json(fields.get("opts", "{}")))
    return {**fields, "opts": encoding.encode_json({**options, TELEMETRY: carried})}


def pack_new_job(base: str, job: NewJob) -> tuple[bytes, str, bytes]:
    """The first three arguments of the add scripts. Source: bullmq Scripts.addJobArgs."""
    head = (base, job.job_id or "", job.name, job.timestamp_ms)
    arguments = pack((*head, *(_NO_PARENT if job.parent is None else _parent_arguments(job.parent)), None, None))
    if not (job.delay_ms or job.priority or job.job_id or job.parent):
        return arguments, job.data, join_entries(job.options) if job.is_traced else packed_map(job.options)
    asked = {"delay": job.delay_ms, "priority": job.priority, "jobId": job.job_id}
    if job.parent is not None:
        asked |= _parent_options(job.parent)
    given = pack_entries({name: value for name, value in asked.items() if value})
    return arguments, job.data, join_entries(job.options, given)


def _parent_arguments(parent: ParentRef) -> tuple[str, str, dict[str, Any]]:
    """What the script writes to the child, and where it notes the child. Source: Node Job constructor."""
    link = {"id": parent.id, "queueKey": parent.queue_key, **_on_failure(parent)}
    return parent.key, f"{parent.key}:dependencies", link


def _parent_options(parent: ParentRef) -> dict[str, Any]:
    """What Node keeps of it in the child's options, and the child's place, which is ours."""
    return {"parent": {"id": parent.id, "queue": parent.queue_key}, **_on_failure(parent), PLACE: parent.place}


def _on_failure(parent: ParentRef) -> dict[str, bool]:
    return {} if parent.on_failure is None else {_ON_FAILURE[parent.on_failure]: True}


class Fetched(NamedTuple):
    """What a claim answered: a job's raw hash, or when to ask again.

    Units: `limited_ms` how long the queue is rate limited; `next_delayed_ms` epoch ms of the next delayed job, 0
    where there is none.
    """

    job_id: str | None = None
    fields: Mapping[str, str] | None = None
    limited_ms: int = 0
    next_delayed_ms: float = 0


NOTHING = Fetched()


def decode_fetched(reply: Any) -> Fetched:
    """The answer of moveToActive, or of a transition that fetches the next job. Source: bullmq raw2NextJobData."""
    parts = encoding.as_array(reply)
    if len(parts) < 2:
        return NOTHING
    fields = parts[0]
    if isinstance(fields, list):
        return Fetched(str(parts[1]), pairs(cast(list[str], fields)), 0, 0)
    limited_ms, next_delayed_ms = (*parts[2:], 0, 0)[:2]
    return Fetched(None, None, int(limited_ms or 0), float(next_delayed_ms or 0))


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """A flat HGETALL answer as a dict."""
    parts = iter(flat)
    return dict(zip(parts, parts, strict=True))


def mended(fields: Mapping[str, str]) -> dict[str, str]:
    """What must be written to a malformed job's hash so that the script which fails it does not stumble over it."""
    readings = {"priority": _number, "delay": _number, **dict.fromkeys(_COUNTS, _count)}
    fixes = {name: "0" for name, read in readings.items() if name in fields and not _can(read, fields[name])}
    if not _can(_check_parent, fields):
        fixes |= {"parent": '{"id":"","queueKey":""}', "parentKey": ""}
    return fixes


def _can(read: Callable[[T], object], value: T) -> bool:
    try:
        read(value)
    except (ValueError, OverflowError, MalformedJob):
        return False
    return True


def is_ghost(fields: Mapping[str, str]) -> bool:
    """True where the hash holds only what claiming wrote: the id was in the queue, its job was not."""
    return fields.keys() <= _CLAIM_FIELDS


def decode_job(queue: str, job_id: str, fields: Mapping[str, str]) -> Job:
    """A job's hash as our record. Raises: MalformedJob, naming the field."""
    values = _ABSENT.copy()
    for name, text in fields.items():
        if (text or name in _COUNTS) and name in _READINGS:
            field, decode = _READINGS[name]
            try:
                values[field] = decode(text)
            except (ValueError, OverflowError) as error:
                raise MalformedJob(f"field {name!r} cannot be read: {error}") from error
    if "name" not in values:
        raise MalformedJob(f"job {job_id!r} has no field 'name'")
    if "parent" in fields or "parentKey" in fields:
        _check_parent(fields)
    return Job(job_id, queue, **values)


def _check_parent(fields: Mapping[str, str]) -> None:
    """The script that ends a job stumbles over a parent that names no job, when it has taken the job out of its list.

    Raises: MalformedJob. Source: moveToFinished, getJobIdFromKey.
    """
    text, key = fields.get("parent"), fields.get("parentKey")
    if text is not None:
        parent = encoding.as_object(encoding.decode_result(text))
        if not (isinstance(parent.get("id"), str) and isinstance(parent.get("queueKey"), str)):
            raise MalformedJob(f"field 'parent' must be an object with an id and a queueKey, not {text!r:.100}")
    elif key and ":" not in key:
        raise MalformedJob(f"field 'parentKey' must be a queue's key and an id, not {key!r:.100}")


def _number(text: str) -> int:
    """Raises: ValueError, also for a number that a script's would not hold exactly."""
    number = int(text) if text.isdigit() else int(float(text)) if "." in text or "e" in text else int(text)
    if not -_MOST_EXACT <= number <= _MOST_EXACT:
        raise ValueError(f"{text:.100} is no number that can be exact")
    return number


def _count(text: str) -> int:
    """Raises: ValueError, also for a number that Redis would not add 1 to, or that would grant further tries."""
    number = _number(text)
    if number < 0 or str(number) != text:
        raise ValueError(f"{text!r:.100} is no count")
    return number


def _number_or_none(text: str) -> int | None:
    return _number(text) or None


def decode_options(text: str) -> JobOptions:
    """What was stored as the job's options. Raises: ValueError; MalformedJob."""
    return _shared_options(text) if len(text) <= _SHARED_OPTIONS_LENGTH else _read_options(text)


def _read_options(text: str) -> JobOptions:
    options = encoding.decode_json(text)
    if not isinstance(options, dict):
        raise MalformedJob(f"field 'opts' must be an object, not {text!r:.100}")
    return JobOptions(cast(dict[str, Any], options))


_shared_options = lru_cache(maxsize=1_000)(_read_options)


def _stacktrace(text: str) -> tuple[str, ...]:
    return tuple(map(str, encoding.as_array(encoding.decode_result(text))))


# Which field of a Job a field of the hash becomes, and how.
_READINGS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "name": ("name", str),
    "data": ("envelope", decode_data),
    "opts": ("options", decode_options),
    "timestamp": ("enqueued_at_ms", _number),
    "delay": ("delay_ms", _number),
    "priority": ("priority", _number),
    "atm": ("attempts_made", _count),
    "ats": ("attempts_started", _count),
    "stc": ("stalled_count", _count),
    "rjk": ("scheduler_id", str),
    "defa": ("deferred_failure", str),
    "processedOn": ("processed_at_ms", _number_or_none),
    "finishedOn": ("finished_at_ms", _number_or_none),
    "pb": ("processed_by", str),
    "parentKey": ("parent_key", str),
    "progress": ("progress", encoding.decode_json),
    "returnvalue": ("result", encoding.decode_result),
    "failedReason": ("failed_reason", str),
    "stacktrace": ("stacktrace", _stacktrace),
}
_ABSENT: dict[str, Any] = {
    "envelope": decode_data("{}"),
    "options": decode_options("{}"),
    "enqueued_at_ms": 0,
    "progress": 0,
}
