"""Serialize: our records as the JSON of the admin routes. Pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import PydanticUserError, TypeAdapter

from board.api.answers import (
    AuditEntryShown,
    AuditPageShown,
    BackoffShown,
    BulkShown,
    CronJobShown,
    EnqueuedShown,
    HandlerShown,
    JobOfAnyKind,
    JobPage,
    JobShown,
    KeepShown,
    LimitShown,
    PolicyShown,
    QueueShown,
    RateLimitShown,
    RelatedShown,
    RemovedShown,
    RunningJobShown,
    TurnShown,
    UnreadableJob,
    WorkerShown,
)
from board.schemas import shown_schema
from jobqueue.cron import CronJob
from jobqueue.encoding import as_object
from jobqueue.handler import Handler
from jobqueue.inspector import AuditEntry, AuditPage, Bulk, JobList, JobView, QueueView, Turn
from jobqueue.inspector.workers import RunningJob, WorkerView
from jobqueue.job import Backoff, BackoffFunction, Enqueued, Job, Keep, Related
from jobqueue.policy import Limit, Policy, RateLimit

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def enqueued_json(enqueued: Enqueued, enqueued_at_ms: int | None) -> EnqueuedShown:
    return {
        "jobId": enqueued.job_id,
        "name": enqueued.name,
        "queue": enqueued.queue,
        "enqueuedAt": enqueued_at_ms,
        "created": enqueued.created,
        "superseded": enqueued.superseded,
        "outboxed": enqueued.outboxed,
    }


def job_json(view: JobView) -> JobShown | UnreadableJob:
    """A job with its log."""
    shown = listed_job_json(view)
    shown["logs"], shown["logCount"] = list(view.logs), view.log_count
    return shown


def listed_job_json(view: JobView) -> JobShown | UnreadableJob:
    """A job; one that cannot be read has `problem` and its `raw` fields instead of a payload."""
    any_kind: JobOfAnyKind = {
        "jobId": view.id,
        "queue": view.queue,
        "state": view.state,
        "cancelled": view.cancelled,
        "waitsFor": _turn_json(view.turn),
        "runAt": view.run_at_ms,
    }
    if view.job is None:
        return {**any_kind, "name": view.raw.get("name"), "problem": view.problem, "raw": dict(view.raw)}
    return _readable_job_json(any_kind, view.job)


def _readable_job_json(any_kind: JobOfAnyKind, job: Job) -> JobShown:
    return {
        **any_kind,
        "name": job.name,
        "type": job.envelope.type,
        "payload": job.envelope.payload,
        "result": job.result,
        "failedReason": job.failed_reason,
        "stacktrace": list(job.stacktrace),
        "attemptsMade": job.attempts_made,
        "attempts": job.attempts,
        "priority": job.priority,
        "progress": job.progress,
        "createdBy": job.envelope.created_by,
        "dedupeKey": job.envelope.dedupe_key,
        "orderKey": job.envelope.order_key,
        "related": _related_json(job.envelope.related),
        "timeoutMs": job.envelope.timeout_ms,
        "expiresAt": job.envelope.expires_at_ms,
        "processedBy": job.processed_by,
        "enqueuedAt": job.enqueued_at_ms,
        "processedAt": job.processed_at_ms,
        "finishedAt": job.finished_at_ms,
    }


def _related_json(related: Related | None) -> RelatedShown | None:
    return None if related is None else {"type": related.type, "id": related.id}


def _turn_json(turn: Turn | None) -> TurnShown | None:
    if turn is None:
        return None
    return {
        "kind": "orderKey" if turn.kind == "order key" else turn.kind,
        "name": turn.name,
        "holders": list(turn.holders),
        "holderCount": turn.holder_count,
    }


def job_page_json(found: JobList) -> JobPage:
    return {
        "data": [listed_job_json(view) for view in found.jobs],
        "total": found.total,
        "complete": found.complete,
        "scannedTo": found.scanned_to,
    }


def queue_json(queue: QueueView) -> QueueShown:
    return {"name": queue.name, "paused": queue.paused, "counts": dict(queue.counts), "refused": queue.refused}


def cron_job_json(row: CronJob, payload: Any, next_run_ms: int | None) -> CronJobShown:
    """A cron job; `payload` is its own as it may be shown."""
    return {
        "id": row.id,
        "jobId": row.job_id,
        "name": row.name,
        "description": row.description,
        "pattern": row.pattern,
        "timezone": row.timezone,
        "handler": row.handler,
        "payload": payload,
        "priority": row.priority,
        "enabled": row.enabled,
        "maxAttempts": row.max_attempts,
        "backoffMs": row.backoff_ms,
        "overlap": row.overlap,
        "misfire": row.misfire,
        "source": row.source,
        "createdBy": row.created_by,
        "createdAt": _epoch_ms(row.created_at),
        "updatedAt": _epoch_ms(row.updated_at),
        "nextRunAt": next_run_ms,
        "lastRunAt": _epoch_ms(row.last_run_at),
        "lastStatus": row.last_status,
        "lastJobId": row.last_job_id,
        "lastCompletedAt": _epoch_ms(row.last_completed_at),
    }


def _epoch_ms(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(milliseconds=1)


def handler_json(handler: Handler[Any], default_queue: str) -> HandlerShown:
    return {
        "name": handler.name,
        "pattern": handler.pattern.word,
        "policy": _policy_json(handler.policy, default_queue),
        "payloadSchema": _schema_json(handler.payload),
    }


def _policy_json(policy: Policy, default_queue: str) -> PolicyShown:
    return {
        "queue": policy.queue or default_queue,
        "attempts": policy.attempts,
        "backoff": _backoff_json(policy.backoff),
        "timeoutMs": policy.timeout_ms,
        "graceMs": policy.grace_ms,
        "firstDelayMs": policy.first_delay_ms,
        "priority": policy.priority,
        "duplicates": policy.duplicates,
        "ordered": policy.ordered,
        "concurrency": _limit_json(policy.concurrency),
        "rateLimit": _rate_limit_json(policy.rate_limit),
        "ack": policy.ack,
        "runIn": policy.run_in,
        "keepCompleted": _keep_json(policy.keep_completed),
        "keepFailed": _keep_json(policy.keep_failed),
        "keepLogs": policy.keep_logs,
        "maxClaims": policy.max_claims,
        "unrecoverable": [kind.__name__ for kind in policy.unrecoverable],
    }


def _backoff_json(backoff: Backoff | BackoffFunction) -> BackoffShown:
    if not isinstance(backoff, Backoff):
        return {"type": "function", "delayMs": None, "jitter": None}
    return {"type": backoff.kind, "delayMs": backoff.delay_ms, "jitter": backoff.jitter}


def _limit_json(limit: Limit | None) -> LimitShown | None:
    return None if limit is None else {"max": limit.max, "partitioned": limit.by is not None}


def _rate_limit_json(limit: RateLimit | None) -> RateLimitShown | None:
    return None if limit is None else {"max": limit.max, "perMs": limit.per_ms}


def _keep_json(keep: Keep) -> KeepShown:
    return {"ageS": keep.age_s, "count": keep.count}


def _schema_json(adapter: TypeAdapter[Any] | None) -> dict[str, Any] | None:
    """Without the values of secrets; None for a handler without payload, and for a type that has no JSON schema."""
    if adapter is None:
        return None
    try:
        return as_object(shown_schema(adapter.json_schema(by_alias=True)))
    except PydanticUserError:
        return None


def bulk_json(bulk: Bulk) -> BulkShown:
    return {
        "done": bulk.done,
        "refused": bulk.refused,
        "problems": dict(bulk.problems),
        "complete": bulk.complete,
    }


def removed_json(bulk: Bulk) -> RemovedShown:
    return {"removed": bulk.done, "complete": bulk.complete}


def worker_json(worker: WorkerView) -> WorkerShown:
    return {
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "language": worker.language,
        "queues": list(worker.queues),
        "concurrency": worker.concurrency,
        "startedAt": worker.started_at_ms,
        "seenAt": worker.seen_at_ms,
        "active": [_running_json(job) for job in worker.active],
        "activeCount": worker.active_count,
    }


def _running_json(job: RunningJob) -> RunningJobShown:
    return {"queue": job.queue, "jobId": job.id, "name": job.name, "startedAt": job.started_at_ms}


def audit_page_json(page: AuditPage) -> AuditPageShown:
    return {"data": [_audit_entry_json(entry) for entry in page.entries], "next": page.next}


def _audit_entry_json(entry: AuditEntry) -> AuditEntryShown:
    return {
        "id": entry.id,
        "at": entry.at_ms,
        "actor": entry.actor,
        "via": entry.via,
        "action": entry.action,
        "queue": entry.queue,
        "target": entry.target,
        "details": dict(entry.details),
        "outcome": entry.outcome,
        "count": entry.count,
        "finishedAt": entry.finished_at_ms,
        "requestId": entry.request_id,
    }
