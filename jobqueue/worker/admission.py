"""Admission: from a claimed hash to a job with its handler and a valid payload, or why it must not run."""

from __future__ import annotations

from typing import Any, NamedTuple

from jobqueue import wire
from jobqueue.errors import InvalidPayload, MalformedJob
from jobqueue.handler import Handler, Superseding
from jobqueue.job import Envelope, Job, JobOptions
from jobqueue.policy import Policy
from jobqueue.registry import Registry
from jobqueue.wire import Fetched
from jobqueue.worker.outcomes import Failed, Ghost


class Admitted(NamedTuple):
    """A job that may run. `lane` is the dedupe key of a superseding one."""

    job: Job
    handler: Handler[Any]
    payload: Any
    lane: str | None


def read(queue: str, fetched: Fetched) -> tuple[Job, Failed | Ghost | None]:
    """The job, and its outcome where nothing can be made of it."""
    job_id, fields = fetched.job_id or "", fetched.fields or {}
    try:
        return wire.decode_job(queue, job_id, fields), None
    except MalformedJob as error:
        broken = Job(job_id, queue, fields.get("name", ""), Envelope(None), JobOptions({}), 0)
        if wire.is_ghost(fields):
            return broken, Ghost()
        return broken, Failed(f"malformed job: {error}", mended=wire.mended(fields))


def admit(job: Job, fetched: Fetched, policy: Policy, registry: Registry) -> Admitted | Failed:
    """Only jobs that nobody has given up on, of a known handler, with a valid payload."""
    if job.deferred_failure is not None:
        return Failed(job.deferred_failure)
    if job.stalled_count >= policy.max_claims:
        return Failed(f"quarantined: {job.stalled_count} workers died or stalled while they ran it")
    handler = registry.find(job.name)
    if handler is None:
        known = ", ".join(registry.names) or "none"
        return Failed(f"unknown handler {job.name!r} (registered here: {known})")
    try:
        payload = handler.validate_json(_payload_json(job, fetched)) if handler.payload is not None else None
        return Admitted(job, handler, payload, _lane(job, handler, payload))
    except InvalidPayload as error:
        return Failed(f"invalid payload: {error.details}")
    except ValueError as error:
        return Failed(f"invalid payload: {error}")


def _payload_json(job: Job, fetched: Fetched) -> str:
    """Raises: ValueError where what a foreign producer stored cannot be written again."""
    return wire.payload_json((fetched.fields or {}).get("data", ""), job.envelope)


def _lane(job: Job, handler: Handler[Any], payload: Any) -> str | None:
    """A job that was not enqueued by us has no dedupe key yet. Raises: ValueError."""
    if not isinstance(handler.pattern, Superseding):
        return None
    return job.envelope.dedupe_key or handler.pattern.key_of(payload)
