"""Lanes: superseding. The newest claim holds the lane; the older job is marked.

`job:superseded:{jobId}` is the mark and `job:lane:{handler}:{dedupeKey}` the lane. Enqueueing claims in the same step
as it adds (Queue.add), finishing ends both in the same step (Queue.finish); what lies between is here.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobqueue.clock import now_ms
from jobqueue.job import Job
from jobqueue.queue import LANE_KEEP_MS, Queue
from jobqueue.scripts import own


async def enter(queue: Queue, job: Job, dedupe_key: str) -> str | None:
    """At pick-up: None where the job may run, else the id of the job that superseded it.

    A job that did not claim its lane when it was enqueued (a scheduler's, a foreign tool's, one retried by hand)
    claims it now, ranked by its slot time against the holder. Concurrency: atomic; safe to repeat.
    """
    keys = [queue.keys.lane(job.name, dedupe_key), queue.keys.superseded(job.id), queue.keys.signals()]
    args = (queue.keys.base, job.id, job.slot_ms, now_ms(), LANE_KEEP_MS)
    return await queue.client.run(own("enterLane"), keys, args) or None


async def marks(queue: Queue, job_ids: Sequence[str]) -> dict[str, str]:
    """Which of the jobs are superseded, and by whom."""
    found = await queue.client.call("MGET", *map(queue.keys.superseded, job_ids))
    return {job_id: by for job_id, by in zip(job_ids, found, strict=True) if by}
