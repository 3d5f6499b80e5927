"""Admission: from a claimed hash to a job with its handler and a valid payload, or why it must not run."""

from __future__ import annotations

from typing import Any, NamedTuple

from jobqueue import ties, wire
from jobqueue.clock import now_ms
from jobqueue.errors import InvalidPayload, MalformedJob
from jobqueue.handler import Handler
from jobqueue.job import Envelope, Job, JobOptions
from jobqueue.keys import QueueKeys
from jobqueue.policy import Policy
from jobqueue.registry import Registry
from jobqueue.ties import Ties
from jobqueue.wire import Fetched
from jobqueue.worker.cron_runs import missed_slot
from jobqueue.worker.outcomes import Failed, Ghost, Missed


class Admitted(NamedTuple):
    """A job that may run, once it holds its ties."""

    job: Job
    handler: Handler[Any]
    payload: Any
    ties: Ties


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


def admit(
    job: Job, fetched: Fetched, policy: Policy, registry: Registry, keys: QueueKeys, token: str
) -> Admitted | Failed | Missed:
    """Only jobs that nobody has given up on, in time, of a known handler, with a valid payload. `token` is that of the
    slot.
    """
    if job.deferred_failure is not None:
        return Failed(job.deferred_failure)
    if job.stalled_count >= policy.max_claims:
        return Failed(f"quarantined: {job.stalled_count} workers died or stalled while they ran it")
    expires_at_ms = job.envelope.expires_at_ms
    if expires_at_ms is not None and expires_at_ms < now_ms():
        return Failed("Expired")
    if job.envelope.misfire is not None:
        missed = missed_slot(job, now_ms())
        if missed is not None:
            return missed
    handler = registry.find(job.name)
    if handler is None:
        known = ", ".join(registry.names) or "none"
        return Failed(f"unknown handler {job.name!r} (registered here: {known})")
    try:
        payload = handler.validate_json(_payload_json(job, fetched)) if handler.payload is not None else None
        of_run = f"{token}:{job.id}:{job.attempts_started}"
        return Admitted(job, handler, payload, ties.of_picked_up_job(keys, handler, payload, job, of_run))
    except InvalidPayload as error:
        return Failed(f"invalid payload: {error.details}")
    except ValueError as error:
        return Failed(f"invalid payload: {error}")


def _payload_json(job: Job, fetched: Fetched) -> str:
    """Raises: ValueError where what a foreign producer stored cannot be written again."""
    return wire.payload_json((fetched.fields or {}).get("data", ""), job.envelope)
