"""Wire: the one place that knows camelCase and BullMQ's field names. Pure functions between our words and theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast, get_args

import msgpack

from jobqueue import encoding
from jobqueue.errors import MalformedJob
from jobqueue.job import (
    MAX_DELAY_MS,
    Backoff,
    BackoffFunction,
    Envelope,
    Job,
    JobType,
    Keep,
    NewJob,
    exponential,
    fixed,
)
from jobqueue.policy import Policy

T = TypeVar("T")

_TYPES = frozenset(get_args(JobType))
_CLAIM_FIELDS = frozenset({"processedOn", "ats", "pb", "stc", "defa"})
_FALLBACK_BACKOFF = exponential(5_000)


# Job data


def encode_data(payload_json: str, envelope: Envelope) -> str:
    """The job's data; `envelope.payload` is passed over in favour of its JSON."""
    beside = {
        "id": envelope.id,
        "dedupeKey": envelope.dedupe_key,
        "createdBy": envelope.created_by,
        "timeoutMs": envelope.timeout_ms,
    }
    more = "".join(f',"{name}":{encoding.encode_json(value)}' for name, value in beside.items() if value is not None)
    return f'{{"type":"{envelope.type}","payload":{payload_json}{more}}}'


def decode_data(text: str) -> Envelope:
    """Our envelope; data of a foreign producer is the payload itself. Raises: ValueError."""
    data = encoding.decode_json(text)
    fields = encoding.as_object(data)
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        return Envelope(payload=data)
    timeout_ms = encoding.as_whole(fields.get("timeoutMs"))
    return Envelope(
        payload=fields.get("payload"),
        type=cast(JobType, kind),
        id=_text_or_none(fields.get("id")),
        dedupe_key=_text_or_none(fields.get("dedupeKey")),
        created_by=_text_or_none(fields.get("createdBy")),
        timeout_ms=timeout_ms if timeout_ms and timeout_ms > 0 else None,
    )


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None


# Options


def encode_options(policy: Policy, *, attempts: int, backoff: Backoff | BackoffFunction) -> dict[str, Any]:
    """BullMQ's job options, so that a Node worker treats the job as ours would.

    A backoff function cannot travel: Node then uses the exponential default, and `function` tells our worker to ask
    the handler.
    """
    return {
        "attempts": attempts,
        "backoff": _encode_backoff(backoff),
        "removeOnComplete": encode_keep(policy.keep_completed),
        "removeOnFail": encode_keep(policy.keep_failed),
        "kl": policy.keep_logs,
    }


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


def pack(value: Any) -> bytes:
    """msgpack, as the scripts take their tables."""
    return cast(bytes, msgpack.packb(value, use_bin_type=True, unicode_errors="surrogateescape"))


def pack_fields(fields: Mapping[str, str]) -> bytes:
    """Fields of the job hash to change with a transition, flat; nothing where there are none."""
    return b"" if not fields else pack([part for pair in fields.items() for part in pair])


def pack_new_job(base: str, job: NewJob) -> tuple[bytes, str, bytes]:
    """The first three arguments of the add scripts. Source: bullmq Scripts.addJobArgs."""
    arguments = [base, job.job_id or "", job.name, job.timestamp_ms, None, None, None, None, None]
    options = dict(job.options)
    if job.delay_ms:
        options["delay"] = job.delay_ms
    if job.priority:
        options["priority"] = job.priority
    if job.job_id:
        options["jobId"] = job.job_id
    return pack(arguments), job.data, pack(options)


@dataclass(frozen=True, slots=True)
class Fetched:
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
    fields, job_id, limited_ms, next_delayed_ms = (*parts, 0, 0)[:4]
    if isinstance(fields, list):
        return Fetched(str(job_id), pairs(cast(list[str], fields)))
    return Fetched(None, None, int(limited_ms or 0), float(next_delayed_ms or 0))


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """A flat HGETALL answer as a dict."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


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
    name = fields.get("name")
    if not name:
        raise MalformedJob(f"job {job_id!r} has no field 'name'")
    return Job(
        id=job_id,
        queue=queue,
        name=name,
        envelope=_decode(fields, "data", decode_data, "{}"),
        options=_decode_options(fields),
        enqueued_at_ms=_decode(fields, "timestamp", _number, "0"),
        delay_ms=_decode(fields, "delay", _number, "0"),
        priority=_decode(fields, "priority", _number, "0"),
        attempts_made=_decode(fields, "atm", _number, "0"),
        attempts_started=_decode(fields, "ats", _number, "0"),
        stalled_count=_decode(fields, "stc", _number, "0"),
        scheduler_id=fields.get("rjk"),
        deferred_failure=fields.get("defa"),
        processed_at_ms=_decode(fields, "processedOn", _number, "0") or None,
        finished_at_ms=_decode(fields, "finishedOn", _number, "0") or None,
        processed_by=fields.get("pb"),
        parent_key=fields.get("parentKey"),
        progress=_decode(fields, "progress", encoding.decode_json, "0"),
        result=encoding.decode_result(fields.get("returnvalue")),
        failed_reason=fields.get("failedReason"),
        stacktrace=_decode_stacktrace(fields),
    )


def _decode(fields: Mapping[str, str], name: str, decode: Callable[[str], T], default: str) -> T:
    text = fields.get(name) or default
    try:
        return decode(text)
    except (ValueError, OverflowError) as error:
        raise MalformedJob(f"field {name!r} cannot be read: {error}") from error


def _number(text: str) -> int:
    return int(float(text)) if "." in text or "e" in text else int(text)


def _decode_options(fields: Mapping[str, str]) -> Mapping[str, Any]:
    options = _decode(fields, "opts", encoding.decode_json, "{}")
    if not isinstance(options, dict):
        raise MalformedJob(f"field 'opts' must be an object, not {fields.get('opts')!r:.100}")
    return cast(dict[str, Any], options)


def _decode_stacktrace(fields: Mapping[str, str]) -> tuple[str, ...]:
    stored = encoding.decode_result(fields.get("stacktrace"))
    return tuple(map(str, encoding.as_array(stored)))
