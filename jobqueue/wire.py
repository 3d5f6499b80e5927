"""Wire: the one place that knows camelCase and BullMQ's field names. Pure functions between our words and theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeVar, cast, get_args

from jobqueue import encoding
from jobqueue.errors import MalformedJob
from jobqueue.job import (
    MAX_DELAY_MS,
    MAX_NAME_LENGTH,
    MAX_ORDER_KEY_LENGTH,
    Backoff,
    BackoffFunction,
    Envelope,
    Job,
    JobOptions,
    JobType,
    Keep,
    Related,
    exponential,
    fixed,
    is_plain_text,
)
from jobqueue.packing import Entries, join_entries, pack, pack_entries, packed_map
from jobqueue.policy import Policy
from jobqueue.ties import NO_TIES, Ties

_TYPES = frozenset(get_args(JobType))
_BARE_DATA = '{"type":"adhoc","payload":'
_BARE = Envelope(None)
_SHARED_OPTIONS_LENGTH = 2_000
_MOST_EXACT = 2**53
_CLAIM_FIELDS = frozenset({"processedOn", "ats", "pb", "stc", "defa"})
_FALLBACK_BACKOFF = exponential(5_000)

OnFailure = Literal["fail_parent", "continue_parent", "ignore", "remove"]
"""What becomes of a parent whose child has failed for good; without one it waits until the child is retried."""

PLACE = "place"
"""The option of a child that says where it stands among its brothers; BullMQ keeps it and passes it over."""

_ON_FAILURE: Mapping[OnFailure, str] = {
    "fail_parent": "fpof",
    "continue_parent": "cpof",
    "ignore": "idof",
    "remove": "rdof",
}
_NO_PARENT = (None, None, None)


# Job data


def encode_data(payload_json: str, envelope: Envelope) -> str:
    """The job's data; `envelope.payload` is passed over in favour of its JSON."""
    if envelope == _BARE:
        return f"{_BARE_DATA}{payload_json}}}"
    beside = {
        "id": envelope.id,
        "dedupeKey": envelope.dedupe_key,
        "createdBy": envelope.created_by,
        "related": None if envelope.related is None else envelope.related._asdict(),
        "orderKey": envelope.order_key,
        "timeoutMs": envelope.timeout_ms,
        "expiresAt": envelope.expires_at_ms,
        "overlap": envelope.overlap,
        "misfire": envelope.misfire,
    }
    more = "".join(f',"{name}":{encoding.encode_json(value)}' for name, value in beside.items() if value is not None)
    return f'{{"type":"{envelope.type}","payload":{payload_json}{more}}}'


def decode_data(text: str) -> Envelope:
    """Our envelope, where what is malformed beside the payload counts as absent; data of a foreign producer is the
    payload itself. Raises: ValueError.
    """
    data = encoding.decode_json(text)
    fields = encoding.as_object(data)
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        return Envelope(data)
    if len(fields) == 2 and "payload" in fields:
        return Envelope(fields["payload"], cast(JobType, kind))
    return Envelope(
        payload=fields.get("payload"),
        type=cast(JobType, kind),
        id=_text_or_none(fields.get("id")),
        dedupe_key=_text_or_none(fields.get("dedupeKey")),
        created_by=_text_or_none(fields.get("createdBy")),
        timeout_ms=_positive_or_none(fields.get("timeoutMs")),
        related=_related_or_none(fields.get("related")),
        order_key=_name_or_none(fields.get("orderKey"), MAX_ORDER_KEY_LENGTH),
        expires_at_ms=_positive_or_none(fields.get("expiresAt")),
        overlap=_one_of(fields.get("overlap"), "skip", "queue"),
        misfire=_one_of(fields.get("misfire"), "skip"),
    )


def payload_json(text: str, envelope: Envelope) -> str:
    """The payload in the data that `envelope` was read from, as JSON: cut out, where nothing else stands beside it."""
    if text.startswith(_BARE_DATA):
        cut = text[len(_BARE_DATA) : -1]
        if encoding.is_json(cut):
            return cut
    return encoding.encode_json(envelope.payload)


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _name_or_none(value: Any, most: int = MAX_NAME_LENGTH) -> str | None:
    return value if is_plain_text(value, most) else None


_W = TypeVar("_W", bound=str)


def _one_of(value: Any, *words: _W) -> _W | None:
    return next((word for word in words if word == value), None)


def _positive_or_none(value: Any) -> int | None:
    number = encoding.as_whole(value)
    return number if number is not None and number > 0 else None


def _related_or_none(value: Any) -> Related | None:
    """None also where one of its halves cannot be used: half an object is none."""
    fields = encoding.as_object(value)
    kind, identity = _name_or_none(fields.get("type")), _name_or_none(fields.get("id"))
    return None if kind is None or identity is None else Related(kind, identity)


# Options


def encode_options(policy: Policy, *, attempts: int, backoff: Backoff | BackoffFunction) -> Entries:
    """BullMQ's job options, so that a Node worker treats the job as ours would.

    A backoff function cannot travel: Node then uses the exponential default, and `function` tells our worker to ask
    the handler.
    """
    return pack_entries(
        {
            "attempts": attempts,
            "backoff": _encode_backoff(backoff),
            "removeOnComplete": encode_keep(policy.keep_completed),
            "removeOnFail": encode_keep(policy.keep_failed),
            "kl": policy.keep_logs,
        }
    )


def _encode_backoff(backoff: Backoff | BackoffFunction) -> dict[str, Any]:
    if not isinstance(backoff, Backoff):
        return _encode_backoff(_FALLBACK_BACKOFF) | {"function": True}
    encoded: dict[str, Any] = {"type": backoff.kind, "delay": backoff.delay_ms}
    if backoff.jitter:
        encoded["jitter"] = backoff.jitter
    return encoded


def decode_backoff(options: Mapping[str, Any], policy: Policy | None) -> Backoff | BackoffFunction | None:
    """The backoff of a job: what it carries, or the handler's function; None means at once.

    A kind that we do not know (Node's custom strategies) is the handler's to decide.
    """
    stored = options.get("backoff")
    fixed_ms = encoding.as_whole(stored)
    if fixed_ms is not None:
        return fixed(max(fixed_ms, 0))
    fields = encoding.as_object(stored)
    if not fields:
        return None
    kind, jitter = fields.get("type"), fields.get("jitter", 0)
    if policy is not None and (fields.get("function") or kind not in ("fixed", "exponential")):
        return policy.backoff
    delay_ms = min(max(encoding.as_whole(fields.get("delay")) or 0, 0), MAX_DELAY_MS)
    share = min(max(jitter, 0.0), 1.0) if isinstance(jitter, int | float) else 0.0
    make = fixed if kind == "fixed" else exponential
    return make(delay_ms, jitter=share)


def encode_keep(keep: Keep) -> dict[str, int]:
    encoded = {"count": -1 if keep.count is None else keep.count}
    if keep.age_s is not None:
        encoded["age"] = keep.age_s
    return encoded


def decode_keep(option: Any, default: Keep) -> dict[str, int]:
    """removeOnComplete / removeOnFail of a job in the form of the scripts; the default where it is none of theirs.

    Source: Node getKeepJobs.
    """
    if isinstance(option, bool):
        return {"count": 0 if option else -1}
    count = encoding.as_whole(option)
    if count is not None:
        return {"count": count}
    fields = {
        name: encoding.as_whole(value)
        for name, value in encoding.as_object(option).items()
        if name in ("age", "count", "limit")
    }
    kept = {name: number for name, number in fields.items() if number is not None}
    return kept or encode_keep(default)


# Jobs


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

    `has_children` is True for one that waits for jobs which are stored with it.
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


def pack_new_job(base: str, job: NewJob) -> tuple[bytes, str, bytes]:
    """The first three arguments of the add scripts. Source: bullmq Scripts.addJobArgs."""
    head = (base, job.job_id or "", job.name, job.timestamp_ms)
    arguments = pack((*head, *(_NO_PARENT if job.parent is None else _parent_arguments(job.parent)), None, None))
    if not (job.delay_ms or job.priority or job.job_id or job.parent):
        return arguments, job.data, packed_map(job.options)
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
    numbers = ("atm", "ats", "stc", "priority", "delay")
    fixes = {name: "0" for name in numbers if name in fields and not _is_number(fields[name])}
    if "parent" in fields and not encoding.as_object(encoding.decode_result(fields["parent"])):
        fixes |= {"parent": '{"id":"","queueKey":""}', "parentKey": ""}
    return fixes


def _is_number(text: str) -> bool:
    try:
        _number(text)
    except (ValueError, OverflowError):
        return False
    return True


def is_ghost(fields: Mapping[str, str]) -> bool:
    """True where the hash holds only what claiming wrote: the id was in the queue, its job was not."""
    return fields.keys() <= _CLAIM_FIELDS


def decode_job(queue: str, job_id: str, fields: Mapping[str, str]) -> Job:
    """A job's hash as our record. Raises: MalformedJob, naming the field."""
    values = _ABSENT.copy()
    for name, text in fields.items():
        if text and name in _READINGS:
            field, decode = _READINGS[name]
            try:
                values[field] = decode(text)
            except (ValueError, OverflowError) as error:
                raise MalformedJob(f"field {name!r} cannot be read: {error}") from error
    if "name" not in values:
        raise MalformedJob(f"job {job_id!r} has no field 'name'")
    return Job(job_id, queue, **values)


def _number(text: str) -> int:
    """Raises: ValueError, also for a number that a script's would not hold exactly."""
    number = int(text) if text.isdigit() else int(float(text)) if "." in text or "e" in text else int(text)
    if not -_MOST_EXACT <= number <= _MOST_EXACT:
        raise ValueError(f"{text:.100} is no number that can be exact")
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
    "atm": ("attempts_made", _number),
    "ats": ("attempts_started", _number),
    "stc": ("stalled_count", _number),
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
