"""Steering: what is done to jobs from outside of their workers. Each is one step in Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, assert_never, cast
from uuid import uuid4

from jobqueue.answers import checked
from jobqueue.clock import now_ms
from jobqueue.ending import Endings
from jobqueue.errors import DuplicateJob, JobActive, JobNotFound, JobNotInState
from jobqueue.job import CANCELLED, Job, Keep, Related, State
from jobqueue.packing import pack
from jobqueue.queue import Queue
from jobqueue.scripts import around, own, shipped
from jobqueue.ties import KEEP_MS, Ties, pack_ties
from jobqueue.transitions import Claimant, Finish, Mark

DONE: Final = "done "
"""How work ended elsewhere: this and its result's JSON, or the next."""
REQUEUE: Final = "requeue"

CancelAnswer = Literal["cancelled", "marked", "completed", "failed", "missing", "elsewhere"]
"""What cancelling came to: it never runs; its worker was told; it had ended before; there is no such job; it has left
the state in which it was to be cancelled."""

RemoveAnswer = Literal["removed", "missing", "active", "locked", "scheduled", "elsewhere"]
"""What removing came to: it is gone; there is no such job; a worker has it; one has it or a child of it; its scheduler
needs it; it has left the state in which it was to be removed."""

_CANCEL_LOCK_MS: Final = 30_000
_OK: Final = 0
_NO_SUCH_JOB: Final = -1
_GATES_AT_ONCE: Final = 500
_JOBS_AT_ONCE: Final = 1_000


async def cancel(
    queue: Queue, job: Job, reason: str, keep: Keep, ties: Ties, state: State | None = None
) -> CancelAnswer:
    """Fail a job that has not started, or mark one that is active. With a `state` only a job that is in it still.

    Concurrency: atomic. Raises: RedisError.
    """
    canceller = Claimant(f"cancel:{uuid4().hex}", "", _CANCEL_LOCK_MS)
    fields = {"stc": "0"}
    keys, args = Endings(queue).finishing(
        job, Finish("failed", CANCELLED + reason, keep, fields), canceller, fetch=False
    )
    asked = pack_ties(
        ties,
        base=queue.keys.base,
        jobId=job.id,
        token=canceller.token,
        now=now_ms(),
        lockMs=_CANCEL_LOCK_MS,
        reason=reason,
        state=state or "",
    )
    answer: CancelAnswer = checked(
        await queue.client.run(around("cancelJob", "moveToFinished"), keys, (*args, asked)), job.id
    )
    return answer


async def retry_by_hand(queue: Queue, job: Job, ties: Ties) -> None:
    """Put a failed job back to waiting, its attempts counted from the start.

    Concurrency: atomic. Raises: JobNotFound; JobNotInState; DuplicateJob. Source: reprocessJob.
    """
    words = ("events", "failed", "wait", "meta", "active", "marker", "prioritized", "pc")
    keys = (queue.keys.job(job.id), *queue.keys.each(words))
    push = "RPUSH" if job.options.get("lifo") is True else "LPUSH"
    asked = pack_ties(ties, base=queue.keys.base, jobId=job.id, now=now_ms())
    args = (job.id, push, "failedReason", "failed", "1", "0", asked)
    reply = await queue.client.run(around("retryByHand", "reprocessJob"), keys, args)
    if isinstance(reply, list):
        raise DuplicateJob(job.name, cast(Any, reply)[1])
    if reply == _NO_SUCH_JOB:
        raise JobNotFound(job.id, queue.name)
    if reply < 0:
        raise JobNotInState(job.id, "failed", await queue.state(job.id))


async def promote(queue: Queue, job: Job) -> None:
    """Let a delayed job run now. Concurrency: atomic. Raises: JobNotFound; JobNotInState. Source: promote."""
    words = ("delayed", "wait", "paused", "meta", "prioritized", "active", "pc", "events", "marker")
    if await queue.client.run(shipped("promote"), queue.keys.each(words), (queue.keys.base, job.id)) == _OK:
        return
    state = await queue.state(job.id)
    if state == "unknown":
        raise JobNotFound(job.id, queue.name)
    raise JobNotInState(job.id, "delayed", state)


async def remove(queue: Queue, job: Job, ties: Ties, state: State | None = None) -> None:
    """Delete a job with its children, and give back what it held. With a `state` only a job that is in it still.

    Children are removed in whatever state they are, as by every tool; what they held goes on at the next repair.
    Concurrency: atomic. Raises: JobNotFound; JobActive, also for a child that is run; JobNotInState for the next job of
    a job scheduler, without which that would stop. Source: removeJob; Node Job.remove.
    """
    keys = (queue.keys.job(job.id), queue.keys.of("repeat"))
    asked = pack_ties(ties, base=queue.keys.base, jobId=job.id, now=now_ms(), state=state or "")
    args = (job.id, "1", queue.keys.base, asked)
    answer: RemoveAnswer = checked(await queue.client.run(around("removeTied", "removeJob"), keys, args), job.id)
    match answer:
        case "removed":
            return
        case "missing":
            raise JobNotFound(job.id, queue.name)
        case "active":
            raise JobActive(job.id, "removable: cancel it first", "active")
        case "locked":
            raise JobActive(job.id, "removable while it or a child of it is run", "locked")
        case "scheduled":
            raise JobNotInState(job.id, "removable by itself: remove or disable its job scheduler", "scheduled")
        case "elsewhere":
            raise JobNotInState(job.id, str(state), await queue.state(job.id))
        case _:
            assert_never(answer)


async def acknowledge(queue: Queue, job_id: str, how: str) -> bool:
    """Tell the worker of an active job how its work ended elsewhere; False where it is not active."""
    keys = (queue.keys.of("active"), queue.keys.acknowledged(job_id), queue.keys.signals(), queue.keys.job(job_id))
    return bool(await queue.client.run(own("acknowledge"), keys, (job_id, how, KEEP_MS)))


async def marks(queue: Queue, job_ids: Sequence[str]) -> dict[str, tuple[Mark, ...]]:
    """What somebody elsewhere says of the jobs; those without a mark are left out."""
    makers = (("cancelled", queue.keys.cancelled), ("superseded", queue.keys.superseded))
    kinds = (*makers, ("acknowledged", queue.keys.acknowledged))
    found = iter(await queue.client.call("MGET", *(key(job_id) for job_id in job_ids for _, key in kinds)))
    marks = {
        job_id: tuple(Mark(cast(Any, kind), value) for kind, _ in kinds if (value := next(found)) is not None)
        for job_id in job_ids
    }
    return {job_id: of_job for job_id, of_job in marks.items() if of_job}


async def related_jobs(queue: Queue, related: Related) -> Sequence[str]:
    """The ids of the unfinished jobs about one object; those that a foreign tool removed may be among them."""
    return sorted(await queue.client.call("SMEMBERS", queue.keys.related(related)))


async def forget_related(queue: Queue, related: Related, job_id: str, enqueued_at_ms: int | None) -> None:
    """Take a job out that is no unfinished one about the object any more, as it was when it was read; None: gone."""
    keys = (queue.keys.related(related), queue.keys.job(job_id))
    seen = "" if enqueued_at_ms is None else enqueued_at_ms
    await queue.client.run(own("forgetRelated"), keys, (job_id, seen))


async def repair_gates(queue: Queue, limits: Mapping[str, int], interval_ms: int) -> int:
    """Mend order keys and limits whose holder is gone or whose limit has changed; returns how many parked jobs were let
    through. `limits` are those of the handlers that are known here, 0 for none.

    No script is called where no job is parked.
    """
    if not await queue.client.call("EXISTS", queue.keys.parked()):
        return 0
    most = {"gates": _GATES_AT_ONCE, "jobs": _JOBS_AT_ONCE}
    asked = {"base": queue.keys.base, "now": now_ms(), "interval": interval_ms, "keep": KEEP_MS, "limits": dict(limits)}
    released: int = await queue.client.run(own("repairGates"), [queue.keys.parked()], [pack(asked | most)])
    return released
