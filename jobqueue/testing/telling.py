"""Telling: what a failed assertion says: what was wanted, what is there instead, and how the nearest job differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobqueue import encoding
from jobqueue.testing.matching import Wanted, differences
from jobqueue.testing.records import EnqueuedJob, JobRun

_MOST_LISTED = 20
_MOST_OF_A_PAYLOAD = 300


def not_found(wanted: Wanted, count: int | None, jobs: Sequence[EnqueuedJob], ended: Sequence[JobRun]) -> str:
    """Why `assert_enqueued` fails."""
    matching = [job for job in jobs if not differences(wanted, job)]
    if count is None:
        said = [f"no job of {wanted} is enqueued"]
    else:
        said = [f"wanted {count} of {wanted}, enqueued {'is' if len(matching) == 1 else 'are'} {len(matching)}"]
    said += _listed("enqueued", jobs) if jobs else ["nothing is enqueued"]
    if not matching:
        said += _nearest(wanted, jobs)
    return "\n".join([*said, *_drained(wanted, ended)])


def found(wanted: Wanted, matching: Sequence[EnqueuedJob]) -> str:
    """Why `assert_not_enqueued` fails."""
    return "\n".join([f"wanted no job of {wanted}", *_listed("enqueued", matching)])


def described(job: EnqueuedJob) -> str:
    """One job in one line."""
    payload = encoding.encode_json(job.payload)
    shown = payload if len(payload) <= _MOST_OF_A_PAYLOAD else f"{payload[:_MOST_OF_A_PAYLOAD]}…"
    state = f"delayed until {job.run_at.isoformat()}" if job.state == "delayed" else job.state
    return f"{job.name} {job.job_id} in {job.queue!r}, {state}: {shown}"


def _listed(word: str, jobs: Sequence[EnqueuedJob]) -> list[str]:
    more = [f"  and {len(jobs) - _MOST_LISTED} more"] if len(jobs) > _MOST_LISTED else []
    return [f"{word}:", *(f"  {described(job)}" for job in jobs[:_MOST_LISTED]), *more]


def _nearest(wanted: Wanted, jobs: Iterable[EnqueuedJob]) -> list[str]:
    """Of the jobs of that handler the one that differs least."""
    rivals = [(differences(wanted, job), job) for job in jobs if job.name == wanted.name]
    if not rivals:
        return []
    lines, job = min(rivals, key=lambda rival: len(rival[0]))
    return [f"the nearest is {job.name} {job.job_id}, which differs:", *(f"  {line}" for line in lines)]


def _drained(wanted: Wanted, ended: Sequence[JobRun]) -> list[str]:
    """Who looks for a job that ran already has mixed up the order."""
    ran = [run.job_id for run in ended if run.name == wanted.name and run.outcome != "retried"]
    return [f"drained before, and so not enqueued any more: {wanted.name} {', '.join(ran)}"] if ran else []
