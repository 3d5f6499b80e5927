"""Queue: every atomic transition of a job, each one script call. The only room that talks to Redis about jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from jobqueue import wire
from jobqueue.clock import now_ms
from jobqueue.errors import JobNotFound, JobNotInState, LockLost, QueueVersionError, RedisError
from jobqueue.job import Job, NewJob
from jobqueue.keys import QueueKeys
from jobqueue.redis.client import Client
from jobqueue.redis.connection import Argument
from jobqueue.scripts import around, own, shipped
from jobqueue.transitions import Added, Claimant, Delay, Finish, Finished, Held, Lane, Lock
from jobqueue.wire import Fetched

BULLMQ_VERSION: Final = "bullmq:6.7.0"
OLDEST_MAJOR: Final = 6
LANE_KEEP_MS: Final = 90 * 24 * 60 * 60 * 1000
METRICS_POINTS: Final = 60 * 24 * 14

_FETCH_KEYS = (
    "wait",
    "active",
    "prioritized",
    "events",
    "stalled",
    "limiter",
    "delayed",
    "paused",
    "meta",
    "pc",
)
_ADD_KEYS = {
    "addStandardJob": ("wait", "paused", "meta", "id", "completed", "delayed", "active", "events", "marker"),
    "addDelayedJob": ("marker", "meta", "id", "delayed", "completed", "events"),
    "addPrioritizedJob": (*("marker", "meta", "id", "prioritized", "delayed", "completed", "active", "events", "pc"),),
}


class Queue:
    """One queue. Concurrency: every transition is atomic in Redis; none is repeated by itself.

    Raises: RedisUnavailable, ConnectionLost and RedisReplyError of the client, beside what a method names.
    """

    def __init__(self, client: Client, keys: QueueKeys) -> None:
        self.client = client
        self.keys = keys
        self._fetch_keys = tuple(keys.of(word) for word in _FETCH_KEYS)
        self._marker = keys.of("marker")

    @property
    def name(self) -> str:
        return self.keys.queue

    # Adding

    async def add(self, job: NewJob) -> Added:
        """Store a job. With a lane, claim it in the same step. Source: bullmq Scripts.addJob."""
        shipped_name, keys = self._how_to_add(job)
        args: list[Argument] = [*wire.pack_new_job(self.keys.base, job), job.timestamp_ms]
        if job.lane is not None:
            script = around("addSuperseding", shipped_name)
            keys += [self.keys.lane(job.name, job.lane), self.keys.signals()]
            args += [self.keys.base, job.job_id or "", job.timestamp_ms, LANE_KEEP_MS]
            created, job_id, superseded = _checked(await self.client.run(script, keys, args), job.name)
            return Added(str(job_id), bool(created), superseded or None)
        if job.job_id is not None:
            script = around("addOnce", shipped_name)
            keys += [self.keys.job(job.job_id)]
            created, job_id = _checked(await self.client.run(script, keys, args), job.name)
            return Added(str(job_id), bool(created))
        return Added(str(_checked(await self.client.run(shipped(shipped_name), keys, args), job.name)))

    def _how_to_add(self, job: NewJob) -> tuple[str, list[str]]:
        if job.delay_ms:
            name = "addDelayedJob"
        elif job.priority:
            name = "addPrioritizedJob"
        else:
            name = "addStandardJob"
        return name, [self.keys.of(word) for word in _ADD_KEYS[name]]

    async def write_meta(self) -> None:
        """What Node writes when it opens a queue. Source: Node Queue constructor."""
        meta = self.keys.of("meta")
        await self.client.call("HSETNX", meta, "opts.maxLenEvents", 10_000)
        await self.client.call("HSET", meta, "version", BULLMQ_VERSION)

    async def check_version(self) -> None:
        """Raises: QueueVersionError where BullMQ 5 or older wrote the queue last."""
        version = await self.client.call("HGET", self.keys.of("meta"), "version")
        major = re.match(r"bullmq(?:-pro)?:(\d+)\.", version or "")
        if major and int(major[1]) < OLDEST_MAJOR:
            raise QueueVersionError(self.name, f"meta.version is {version}")
        paused = await self.client.call("LLEN", self.keys.of("paused"))
        if paused:
            raise QueueVersionError(self.name, f"its 'paused' list holds {paused} jobs")

    # Claiming

    async def claim(self, claimant: Claimant) -> Fetched:
        """Move the next job to active under the claimant's token. Source: moveToActive."""
        args = (self.keys.base, now_ms(), wire.pack(_fetch_options(claimant)))
        reply = await self.client.run(shipped("moveToActive"), [*self._fetch_keys, self._marker], args)
        return wire.decode_fetched(reply)

    async def held_by(self, token: str, before: str | None = None) -> Fetched:
        """The active job that a token holds; what a lost answer would have said. `before` is what it held then."""
        args = (self.keys.base, token, before or "")
        reply = await self.client.run(own("heldBy"), [self.keys.of("active")], args)
        return wire.decode_fetched(reply)

    async def mark_ready(self) -> None:
        """Leave the marker that wakes a waiting worker, as every shipped add does."""
        await self.client.call("ZADD", self._marker, 0, "0")

    async def move_stalled(self, max_stalled: int, interval_ms: int) -> Sequence[str]:
        """Put active jobs without a lock back to waiting; returns their ids. Source: moveStalledJobsToWait."""
        words = ("stalled", "wait", "active", "stalled-check", "meta", "paused", "marker", "events", "repeat")
        args = (max_stalled, self.keys.base, now_ms(), interval_ms)
        keys = [self.keys.of(word) for word in words]
        stalled: list[str] = await self.client.run(shipped("moveStalledJobsToWait"), keys, args)
        return stalled

    def lane(self, handler: str, dedupe_key: str, job_id: str) -> Lane:
        """The keys of a job's lane and mark."""
        return Lane(self.keys.lane(handler, dedupe_key), self.keys.superseded(job_id))

    # Ending a try

    async def finish(self, job: Job, finish: Finish, claimant: Claimant, held: Held, *, fetch: bool) -> Finished:
        """Complete or fail the active job, give back what the run held and fetch the next job, in one step.

        A job in a lane that was marked meanwhile completes as superseded whatever its result. Raises: LockLost;
        JobNotInState where children are pending or failed. Source: Node moveToFinishedArgs.
        """
        fixed = [*self._fetch_keys, self.keys.of(finish.state), self.keys.job(job.id)]
        keys = [*fixed, self.keys.metrics(finish.state), self._marker]
        property_name = "returnvalue" if finish.state == "completed" else "failedReason"
        packed = wire.pack(_fetch_options(claimant) | _finish_options(job, finish))
        value = (property_name, finish.value, finish.state)
        changes = wire.pack_fields(finish.fields)
        args: list[Argument] = [job.id, now_ms(), *value, int(fetch), self.keys.base, packed, changes]
        if isinstance(held, Lane):
            by, reply = await self.client.run(
                around("finishInLane", "moveToFinished"), [*keys, held.key, held.mark], args
            )
            return Finished(wire.decode_fetched(_checked(reply, job.id)), by or None)
        return Finished(wire.decode_fetched(await self._end_try("moveToFinished", job, keys, args, held)))

    async def delay(self, job: Job, delay: Delay, claimant: Claimant, held: Held, *, fetch: bool) -> Finished:
        """Move the active job to delayed, give its lock back and fetch the next. Raises: LockLost.

        Source: moveToDelayed.
        """
        words = ("marker", "active", "prioritized", "delayed")
        rest = ("events", "meta", "stalled", "wait", "limiter", "pc")
        keys = [*map(self.keys.of, words), self.keys.job(job.id), *map(self.keys.of, rest)]
        skips_attempt = "0" if delay.counts else "1"
        packed = wire.pack(_fetch_options(claimant))
        where: list[Argument] = [self.keys.base, now_ms(), job.id, claimant.token, delay.delay_ms, skips_attempt]
        args = [*where, wire.pack_fields(delay.fields), int(fetch), packed]
        return Finished(wire.decode_fetched(await self._end_try("moveToDelayed", job, keys, args, held)))

    async def retry(self, job: Job, fields: Mapping[str, str], token: str, held: Held) -> None:
        """Move the active job back to waiting, as one attempt used. Raises: LockLost. Source: retryJob."""
        before = ("active", "wait", "paused")
        after = ("meta", "events", "delayed", "prioritized", "pc", "marker", "stalled")
        keys = [*map(self.keys.of, before), self.keys.job(job.id), *map(self.keys.of, after)]
        push = "RPUSH" if job.options.get("lifo") else "LPUSH"
        args: list[Argument] = [self.keys.base, now_ms(), push, job.id, token, wire.pack_fields(fields)]
        await self._end_try("retryJob", job, keys, args, held)

    async def release(self, job: Job, token: str, held: Held) -> None:
        """Put the active job back at the head of the queue, uncounted. Raises: LockLost."""
        words = ("active", "wait", "stalled", "paused", "meta", "limiter", "prioritized", "marker", "events")
        args: list[Argument] = [job.id, token, self.keys.job(job.id)]
        await self._end_try("moveJobFromActiveToWait", job, [*map(self.keys.of, words)], args, held)

    async def _end_try(self, shipped_name: str, job: Job, keys: list[str], args: Sequence[Argument], held: Held) -> Any:
        """One shipped transition; a singleton's lock is given back in the same step."""
        if isinstance(held, Lock):
            script, keys, args = around("givingLockBack", shipped_name), [*keys, held.key], [*args, held.token]
        else:
            script = shipped(shipped_name)
        return _checked(await self.client.run(script, keys, args), job.id)

    async def advance_scheduler(self, job: Job, next_ms: int, options: Mapping[str, Any]) -> None:
        """Add the next iteration of the scheduler that made this job, if the job is its current one.

        Where the scheduler has an interval instead of a pattern the script computes the time. Source:
        updateJobScheduler.
        """
        before = (
            "repeat",
            "delayed",
            "wait",
            "paused",
            "meta",
            "prioritized",
            "marker",
            "id",
            "events",
            "pc",
        )
        keys = [*map(self.keys.of, before), self.keys.job(job.id), self.keys.of("active")]
        args = (next_ms, job.scheduler_id or "", "{}", wire.pack(options), now_ms(), self.keys.base, job.id)
        await self.client.run(shipped("updateJobScheduler"), keys, args)

    # Reading

    async def job(self, job_id: str) -> Job:
        """Raises: JobNotFound; MalformedJob."""
        fields = wire.pairs(await self.client.call("HGETALL", self.keys.job(job_id)))
        if not fields:
            raise JobNotFound(job_id, self.name)
        return wire.decode_job(self.name, job_id, fields)

    async def outcome(self, job_id: str) -> tuple[Literal["completed", "failed", "missing", "unfinished"], str | None]:
        """How the job ended, with its result's JSON or its reason. Source: isFinished."""
        keys = [self.keys.of("completed"), self.keys.of("failed"), self.keys.job(job_id)]
        code, *value = await self.client.run(shipped("isFinished"), keys, [job_id, "1"])
        known: dict[int, Literal["completed", "failed", "missing"]] = {
            1: "completed",
            2: "failed",
            -1: "missing",
        }
        return known.get(code, "unfinished"), value[0] if value else None

    # While a try runs

    async def add_log(self, job_id: str, line: str, keep: int) -> None:
        """Append a line to the job's log, capped. Source: addLog."""
        keys = [self.keys.job(job_id), self.keys.job_logs(job_id)]
        await self.client.run(shipped("addLog"), keys, [job_id, line, keep])

    async def set_progress(self, job_id: str, progress_json: str) -> None:
        """Source: updateProgress."""
        keys = [self.keys.job(job_id), self.keys.of("events"), self.keys.of("meta")]
        await self.client.run(shipped("updateProgress"), keys, [job_id, progress_json])


def _fetch_options(claimant: Claimant) -> dict[str, Any]:
    return {"token": claimant.token, "lockDuration": claimant.lock_ms, "name": claimant.worker_name}


def _finish_options(job: Job, finish: Finish) -> dict[str, Any]:
    option = job.options.get("removeOnComplete" if finish.state == "completed" else "removeOnFail")
    return {
        "keepJobs": wire.decode_keep(option, finish.keep),
        "attempts": job.attempts,
        "maxMetricsSize": METRICS_POINTS,
        "fpof": bool(job.options.get("fpof")),
        "cpof": bool(job.options.get("cpof")),
        "idof": bool(job.options.get("idof")),
        "rdof": bool(job.options.get("rdof")),
    }


_LOST = {
    -1: "is gone",
    -2: "has no lock any more",
    -3: "is not active any more",
    -6: "is locked by another worker",
}
_UNFINISHED = {-4: "its children are not all finished", -9: "a child has failed"}


def _checked(reply: Any, job_id: str) -> Any:
    """A script's answer, or the error that its negative code stands for. Source: bullmq ErrorCode."""
    if not isinstance(reply, int) or reply >= 0:
        return reply
    if reply in _LOST:
        raise LockLost(f"job {job_id!r} {_LOST[reply]}")
    if reply in _UNFINISHED:
        raise JobNotInState(job_id, "ready to complete", _UNFINISHED[reply])
    if reply == -5:
        raise JobNotFound(job_id, "its parent's queue")
    raise RedisError(f"job {job_id!r}: the script answered {reply}")
