"""Again: a job like another one, with the payload as a person edited it from what was shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, cast

from jobqueue import encoding, ties, wire
from jobqueue.app import App
from jobqueue.clock import now_ms
from jobqueue.errors import InvalidPayload, JobNotFound, JobNotInState, MalformedJob, PayloadTooLarge
from jobqueue.handler import Handler
from jobqueue.job import MAX_DELAY_MS, MAX_NAME_LENGTH, MAX_PRIORITY, Backoff, Enqueued, EnqueueOptions, Envelope, Job
from jobqueue.masking import PLAIN, masker_of
from jobqueue.options import CheckedOptions, check_options
from jobqueue.packing import Entries, pack_entries
from jobqueue.queue import Queue
from jobqueue.ties import OrderTie, RelatedTie, Ties
from jobqueue.unmasking import unmask
from jobqueue.wire import NewJob

_STANDS_FOR_NOTHING: Final = "is masked, and there is no stored value that it could stand for; give the value"
_COPIED: Final = ("attempts", "backoff", "removeOnComplete", "removeOnFail", "kl", "keepLogs", "stackTraceLimit")
_WOULD_SHOW: Final = "would show what is hidden now; give the whole payload anew"


async def again(app: App, queue: str, job_id: str, payload: Any, options: EnqueueOptions, created_by: str) -> Enqueued:
    """Enqueue a job like that one; the data of one whose handler is not known here keeps its form.

    Raises: JobNotFound; JobNotInState; EnqueueError.
    """
    opened = app.queue(queue)
    job = await _readable(opened, job_id)
    handler = app.registry.find(job.name)
    edited = _unmasked(job, handler, payload)
    asked = cast(EnqueueOptions, {**_as_before(job, handler), **options})
    checked = check_options(asked)
    to = app.queue(checked.queue)
    await to.check_version()
    if handler is not None:
        return await app.enqueuer.enqueue(handler.name, edited, asked, created_by)
    checked = replace(checked, created_by=checked.created_by or created_by)
    payload_json = _json(job.name, edited, app.settings.jobs_max_payload_bytes)
    has_envelope = not await _is_bare(opened, job)
    return await app.enqueuer.store(_for_nobody_known(to, job, payload_json, checked, has_envelope=has_envelope))


async def _readable(queue: Queue, job_id: str) -> Job:
    try:
        return await queue.job(job_id)
    except MalformedJob as error:
        raise JobNotInState(job_id, f"readable ({error})", "malformed") from error
    except ValueError as error:  # no id that can be sent
        raise JobNotFound(job_id, queue.name) from error


def _unmasked(job: Job, handler: Handler[Any] | None, payload: Any) -> Any:
    """The payload with the stored secrets wherever it came back with their masks. Raises: InvalidPayload."""
    masker = PLAIN if handler is None else masker_of(handler.payload)
    unmasked = unmask(payload, job.envelope.payload, masker, masker)
    if unmasked.left:
        raise InvalidPayload(job.name, {".".join(("payload", *path)): _STANDS_FOR_NOTHING for path in unmasked.left})
    if unmasked.reveals:
        raise InvalidPayload(job.name, {"payload": _WOULD_SHOW})
    return unmasked.value


def _as_before(job: Job, handler: Handler[Any] | None) -> EnqueueOptions:
    """What was asked of the job, as far as it can be asked again."""
    envelope, options = job.envelope, EnqueueOptions(queue=job.queue)
    if 0 <= job.priority <= MAX_PRIORITY:
        options["priority"] = job.priority
    if isinstance(job.options.get("attempts"), int):
        options["attempts"] = job.attempts
    backoff = wire.decode_backoff(job.options, None if handler is None else handler.policy)
    if isinstance(backoff, Backoff):
        options["backoff"] = backoff
    if envelope.timeout_ms is not None and envelope.timeout_ms <= MAX_DELAY_MS:
        options["timeout_ms"] = envelope.timeout_ms
    if envelope.related is not None:
        options["related"] = (envelope.related.type, envelope.related.id)
    if envelope.order_key is not None and len(envelope.order_key) <= MAX_NAME_LENGTH:
        options["order_key"] = envelope.order_key
    return options


async def _is_bare(queue: Queue, job: Job) -> bool:
    """Whether the data is the payload itself: no part of it can be equal to the whole."""
    data: str | None = await queue.client.call("HGET", queue.keys.job(job.id), "data")
    return data is not None and encoding.decode_json(data) == job.envelope.payload


def _for_nobody_known(to: Queue, job: Job, payload_json: str, asked: CheckedOptions, *, has_envelope: bool) -> NewJob:
    """A job of a handler that is not registered here, so that its payload cannot be checked here."""
    now = now_ms()
    envelope = _envelope(job, asked, now) if has_envelope else Envelope(None)
    delay_ms = asked.delay_ms or (0 if asked.run_at_ms is None else min(max(asked.run_at_ms - now, 0), MAX_DELAY_MS))
    return NewJob(
        queue=to.name,
        name=job.name,
        data=wire.encode_data(payload_json, envelope) if has_envelope else payload_json,
        job_id=asked.job_id,
        timestamp_ms=now,
        delay_ms=delay_ms,
        priority=asked.priority or 0,
        options=_options(job, asked),
        ties=_ties(to, job._replace(envelope=envelope)),
    )


def _envelope(job: Job, asked: CheckedOptions, now: int) -> Envelope:
    return Envelope(
        None,
        dedupe_key=job.envelope.dedupe_key,
        created_by=asked.created_by,
        timeout_ms=asked.timeout_ms,
        related=asked.related,
        order_key=asked.order_key,
        expires_at_ms=None if asked.expires_in_ms is None else now + asked.expires_in_ms,
    )


def _json(name: str, payload: Any, limit_bytes: int) -> str:
    try:
        text = encoding.encode_json(payload)
    except ValueError as error:
        raise InvalidPayload(name, {"payload": f"cannot be stored as JSON: {error}"}) from error
    if encoding.utf8_size(text) > limit_bytes:
        raise PayloadTooLarge(encoding.utf8_size(text), limit_bytes)
    return text


def _options(job: Job, asked: CheckedOptions) -> Entries:
    """The old job's, without what they say of its place, its id and its parent."""
    kept: dict[str, Any] = {name: job.options[name] for name in _COPIED if name in job.options}
    if asked.attempts is not None:
        kept["attempts"] = asked.attempts
    if asked.backoff is not None and asked.backoff != wire.decode_backoff(job.options, None):
        kept["backoff"] = {"type": asked.backoff.kind, "delay": asked.backoff.delay_ms, "jitter": asked.backoff.jitter}
    return pack_entries(kept)


def _ties(queue: Queue, job: Job) -> Ties:
    """Of the ties that the data tells of, those that hold whoever the handler is."""
    found = ties.of_stored_job(queue.keys, job, None)
    return tuple(tie for tie in found if isinstance(tie, RelatedTie | OrderTie))
