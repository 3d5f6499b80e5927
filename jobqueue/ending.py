"""Ending: how a try is written down. What the job held is given back in the same step, and its next in line let go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, cast

from jobqueue import packing, wire
from jobqueue.answers import checked
from jobqueue.clock import now_ms
from jobqueue.job import Job, JobOptions, Keep
from jobqueue.packing import Entries
from jobqueue.queue import Queue
from jobqueue.redis.connection import Argument
from jobqueue.scripts import around
from jobqueue.ties import Ties, pack_ties
from jobqueue.transitions import Claimant, Delay, Ended, Finish, Mark

METRICS_POINTS: Final = 60 * 24 * 14

_RESULT_FIELDS: Final = {"completed": "returnvalue", "failed": "failedReason"}


class Endings:
    """Ends the tries of one queue's jobs. Concurrency: each is one step in Redis; none is repeated by itself.

    A job that was marked meanwhile is left as it is, and the mark is answered, unless the ending heeds it.
    """

    def __init__(self, queue: Queue, *, metrics: bool = False) -> None:
        """With `metrics` each end of a job counts in BullMQ's per-minute metrics, as with Node's option."""
        self._client = queue.client
        self._keys = queue.keys
        self._fetch_keys = queue.fetch_keys
        self._marker = queue.keys.of("marker")
        self._metrics_points = METRICS_POINTS if metrics else None
        self._finish_keys = {state: (queue.keys.of(state), queue.keys.metrics(state)) for state in _RESULT_FIELDS}

    async def finish(self, job: Job, finish: Finish, claimant: Claimant, ties: Ties, *, fetch: bool) -> Ended:
        """Complete or fail the active job, give back what it held and fetch the next job, in one step.

        Raises: LockLost; JobNotInState where children are pending or failed. Source: Node moveToFinishedArgs.
        """
        keys, args = self.finishing(job, finish, claimant, fetch=fetch)
        completed = finish.state == "completed"
        ending = None
        if ties or finish.heeds:
            ending = _Ending(claimant.token, ties, heeded=finish.heeds, ended=True, completed=completed)
        return await self._end(job, "moveToFinished", keys, args, ending)

    def finishing(
        self, job: Job, finish: Finish, claimant: Claimant, *, fetch: bool
    ) -> tuple[tuple[str, ...], tuple[Argument, ...]]:
        """The keys and arguments of moveToFinished."""
        state, value = finish.state, finish.value
        finished, metrics = self._finish_keys[state]
        keys = (*self._fetch_keys, finished, self._keys.job(job.id), metrics, self._marker)
        packed = packing.packed_map(
            claimant.packed, _finish_options(job.options, state, finish.keep, self._metrics_points)
        )
        changes = packing.pack_fields(finish.fields)
        result = (_RESULT_FIELDS[state], value, state)
        return keys, (job.id, now_ms(), *result, int(fetch), self._keys.base, packed, changes)

    async def delay(self, job: Job, delay: Delay, claimant: Claimant, ties: Ties, *, fetch: bool) -> Ended:
        """Move the active job to delayed, give back what its try held and fetch the next. Raises: LockLost.

        Source: moveToDelayed.
        """
        before = self._keys.each(("marker", "active", "prioritized", "delayed"))
        after = self._keys.each(("events", "meta", "stalled", "wait", "limiter", "pc"))
        keys = (*before, self._keys.job(job.id), *after)
        skips_attempt = "0" if delay.counts else "1"
        packed = packing.packed_map(claimant.packed)
        where = (self._keys.base, now_ms(), job.id, claimant.token, delay.delay_ms, skips_attempt)
        args = (*where, packing.pack_fields(delay.fields), int(fetch), packed)
        failure = _failure(job, delay.failure, delay.delay_ms)
        ending = _Ending(claimant.token, ties, starts_in_ms=delay.delay_ms, failure=failure)
        return await self._end(job, "moveToDelayed", keys, args, ending)

    async def retry(self, job: Job, fields: Mapping[str, str], token: str, ties: Ties) -> Ended:
        """Move the active job back to waiting, as one attempt used. Raises: LockLost. Source: retryJob."""
        before = self._keys.each(("active", "wait", "paused"))
        after = self._keys.each(("meta", "events", "delayed", "prioritized", "pc", "marker", "stalled"))
        keys = (*before, self._keys.job(job.id), *after)
        push = "RPUSH" if job.options.get("lifo") else "LPUSH"
        args = (self._keys.base, now_ms(), push, job.id, token, packing.pack_fields(fields))
        ending = _Ending(token, ties, failure=_failure(job, fields.get("failedReason"), 0))
        return await self._end(job, "retryJob", keys, args, ending)

    async def release(self, job: Job, token: str, ties: Ties) -> Ended:
        """Put the active job back at the head of the queue, uncounted. Raises: LockLost."""
        words = ("active", "wait", "stalled", "paused", "meta", "limiter", "prioritized", "marker", "events")
        args = (job.id, token, self._keys.job(job.id))
        return await self._end(job, "moveJobFromActiveToWait", self._keys.each(words), args, _Ending(token, ties))

    async def wait_for_children(self, job: Job, token: str, ties: Ties) -> Ended:
        """Move the active job to waiting-children, unless none of its children is unfinished.

        Raises: LockLost; JobNotInState where a child has failed. Source: moveToWaitingChildren.
        """
        job_key = self._keys.job(job.id)
        of_job = (job_key, f"{job_key}:dependencies", f"{job_key}:unsuccessful")
        keys = (*self._keys.each(("active", "waiting-children")), *of_job, *self._keys.each(("stalled", "events")))
        args = (token, "", now_ms(), job.id, self._keys.base)
        ending = _Ending(token, ties, starts_in_ms=0, waits=True)
        return await self._end(job, "moveToWaitingChildren", keys, args, ending)

    async def _end(
        self, job: Job, shipped_name: str, keys: tuple[str, ...], args: tuple[Argument, ...], ending: _Ending | None
    ) -> Ended:
        """The shipped transition, unless the job is marked; what it held is given back in the same step."""
        asked = b"" if ending is None else ending.packed(self._keys.base, job.id)
        script = around("endTry", shipped_name)
        reply = await self._client.run(script, (*keys, self._keys.cancelled(job.id)), (*args, asked))
        if isinstance(reply, list) and reply and isinstance(reply[0], str):
            kind, value = cast(Any, reply)
            return Ended(wire.NOTHING, Mark(kind, value))
        return Ended(wire.decode_fetched(checked(reply, job.id)))


class _Ending(NamedTuple):
    """What the script that ends a try is told beside the shipped one's arguments (see lua/endTry.lua)."""

    token: str
    ties: Ties
    heeded: bool = False
    ended: bool = False
    completed: bool = False
    waits: bool = False
    starts_in_ms: int | None = None
    failure: Sequence[str | int] | None = None

    def packed(self, base: str, job_id: str) -> bytes:
        optional = {"startsIn": self.starts_in_ms, "failure": self.failure}
        return pack_ties(
            self.ties,
            base=base,
            jobId=job_id,
            token=self.token,
            now=now_ms(),
            heeded=self.heeded,
            ended=self.ended,
            completed=self.completed,
            waits=self.waits,
            **{name: value for name, value in optional.items() if value is not None},
        )


def _failure(job: Job, reason: str | None, delay_ms: int) -> Sequence[str | int] | None:
    """The fields of the event that tells of a failed try which another follows."""
    if reason is None:
        return None
    return ("name", job.name, "attempt", job.attempt, "failedReason", reason, "delay", delay_ms)


@lru_cache(maxsize=1_000)
def _finish_options(
    options: JobOptions, state: Literal["completed", "failed"], keep: Keep, metrics_points: int | None
) -> Entries:
    stored = options.get("removeOnComplete" if state == "completed" else "removeOnFail")
    return packing.pack_entries(
        {
            "keepJobs": wire.decode_keep(stored, keep),
            "attempts": options.attempts,
            "maxMetricsSize": metrics_points or "",
            "fpof": bool(options.get("fpof")),
            "cpof": bool(options.get("cpof")),
            "idof": bool(options.get("idof")),
            "rdof": bool(options.get("rdof")),
        }
    )
