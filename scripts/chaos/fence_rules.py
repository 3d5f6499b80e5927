"""Fence rules: a job whose lock expired may run again; it completes once, and the result is that of its latest run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import cast

from scripts.chaos.ground import Ground
from scripts.chaos.ledger import runs


async def one_result_counts(site: Ground, job_ids: Sequence[str]) -> dict[str, list[str]]:
    """What must hold of jobs that all succeed, each of which returns the number of its claim; and what does not."""
    events = cast(list[tuple[str, dict[str, str]]], await site.redis.xrange(site.keys.of("events")))
    completed = Counter(fields["jobId"] for _, fields in events if fields["event"] == "completed")
    ends = await site.hashes(job_ids, "returnvalue", "failedReason")
    finished: dict[str, list[int]] = {job_id: [] for job_id in job_ids}
    for run in runs(site.ledger.entries()):
        if run.job_id in finished and run.how == "finished":
            finished[run.job_id].append(run.claim)
    return {
        "no accepted job is lost": await site.lost(job_ids),
        "no job has failed": [f"{job_id}: {end[1]}" for job_id, end in ends.items() if end[1] and not end[0]],
        "a job that ran again, its lock having expired, completed once": [
            f"{job_id} completed {completed[job_id]} times" for job_id in job_ids if completed[job_id] != 1
        ],
        "and the result of its latest run counts, every other one was dropped": [
            f"{job_id}: claims {claims} came to their end, {ends[job_id][0]} counts"
            for job_id, claims in finished.items()
            if ends[job_id][0] != str(max(claims, default=0))
        ],
    }


def ran_again(site: Ground, job_ids: Sequence[str]) -> int:
    """How many of the jobs came to the end of a run more than once, or were told to stop and began again."""
    claims = Counter(run.job_id for run in runs(site.ledger.entries()) if run.how != "failed")
    return sum(claims[job_id] > 1 for job_id in job_ids)
