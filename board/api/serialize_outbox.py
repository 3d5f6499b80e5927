"""Serialize outbox: the records of the outbox as the JSON of the admin routes. Pure functions."""

from __future__ import annotations

from board.api.answers import OutboxQueueShown, OutboxRowShown, OutboxShown, TreatedShown
from jobqueue.inspector import Bulk, OutboxJob, OutboxQueue, OutboxView


def outbox_json(view: OutboxView) -> OutboxShown:
    return {"relay": view.has_relay, "queues": [_queue_json(queue) for queue in view.queues]}


def _queue_json(queue: OutboxQueue) -> OutboxQueueShown:
    return {
        "queue": queue.name,
        "waiting": queue.waiting,
        "setAside": queue.set_aside,
        "countedTo": queue.counted_to,
        "oldestAt": queue.oldest_at_ms,
        "spilledAt": queue.spilled_at_ms,
    }


def row_json(row: OutboxJob) -> OutboxRowShown:
    return {
        "id": row.id,
        "state": "setAside" if row.is_set_aside else "waiting",
        "queue": row.queue,
        "handler": row.name,
        "jobId": row.job_id,
        "origin": row.origin,
        "createdAt": row.created_at_ms,
        "attempts": row.attempts,
        "lastError": row.last_error,
        "nextTryAt": row.next_try_at_ms,
        "setAsideAt": row.set_aside_at_ms,
        "payload": row.payload,
        "asked": dict(row.asked),
        "whole": row.is_whole,
        "problem": row.problem,
        "raw": row.raw,
    }


def treated_json(bulk: Bulk) -> TreatedShown:
    return {"done": bulk.done, "complete": bulk.complete}
