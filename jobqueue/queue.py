"""Queue: every atomic transition of a job, each one script call. The only room that talks to Redis about jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal, cast

from jobqueue import packing, wire
from jobqueue.clock import now_ms
from jobqueue.errors import JobNotFound, JobNotInState, LockLost, QueueVersionError, RedisError
from jobqueue.job import Job, JobOptions, Keep
from jobqueue.keys import QueueKeys
from jobqueue.packing import Entries
from jobqueue.redis.client import Call, Client
from jobqueue.redis.connection import Argument
from jobqueue.scripts import around, own, shipped
from jobqueue.transitions import Added, Claimant, Delay, Finish, Finished, Held, Lane, Lock
from jobqueue.wire import Fetched, NewJob

BULLMQ_VERSION: Final = "bullmq:6.7.0"
OLDEST_MAJOR: Final = 6
LANE_KEEP_MS: Final = 90 * 24 * 60 * 60 * 1000
METRICS_POINTS: Final = 60 * 24 * 14

_RESULT_FIELDS: Final = {"completed": "returnvalue", "failed": "failedReason"}
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

    def __init__(self, client: Client, keys: QueueKeys, *, metrics: bool = False) -> None:
        """With `metrics` each end of a job counts in BullMQ's per-minute metrics, as with Node's option."""
        self.client = client
        self.keys = keys
        self._metrics_points = METRICS_POINTS if metrics else None
        self._fetch_keys = self._keys(_FETCH_KEYS)
        self._marker = keys.of("marker")
        self._finish_keys = {state: (keys.of(state), keys.metrics(state)) for state in _RESULT_FIELDS}
        self._add_keys = {name: self._keys(words) for name, words in _ADD_KEYS.items()}

    @property
    def name(self) -> str:
        return self.keys.queue

    # Adding

    async def add(self, job: NewJob) -> Added:
        """Store a job. With a lane, claim it in the same step. Source: bullmq Scripts.addJob."""
        return _added(_checked(await self.client.run(*self._adding(job)), job.name))

    async def add_all(self, jobs: Sequence[NewJob]) -> Sequence[Added | Exception]:
        """Store many jobs in one round trip: for each what became of it. Concurrency: each add is atomic, not all."""
        replies = await self.client.run_all(list(map(self._adding, jobs)))
        return [_added_or_error(reply, job.name) for reply, job in zip(replies, jobs, strict=True)]

    def _adding(self, job: NewJob) -> Call:
        shipped_name = "addDelayedJob" if job.delay_ms else "addPrioritizedJob" if job.priority else "addStandardJob"
        keys = self._add_keys[shipped_name]
        args: tuple[Argument, ...] = (*wire.pack_new_job(self.keys.base, job), job.timestamp_ms)
        if job.lane is not None:
            claim = (self.keys.base, job.job_id or "", job.timestamp_ms, LANE_KEEP_MS)
            lane = (self.keys.lane(job.name, job.lane), self.keys.signals())
            return around("addSuperseding", shipped_name), (*keys, *lane), (*args, *claim)
        if job.job_id is not None:
            return around("addOnce", shipped_name), (*keys, self.keys.job(job.job_id)), args
        return shipped(shipped_name), keys, args

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
        args = (self.keys.base, now_ms(), packing.packed_map(claimant.packed))
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
        state, value = finish.state, finish.value
        finished, metrics = self._finish_keys[state]
        keys = (*self._fetch_keys, finished, self.keys.job(job.id), metrics, self._marker)
        packed = packing.packed_map(
            claimant.packed, _finish_options(job.options, state, finish.keep, self._metrics_points)
        )
        changes = packing.pack_fields(finish.fields)
        result = (_RESULT_FIELDS[state], value, state)
        args = (job.id, now_ms(), *result, int(fetch), self.keys.base, packed, changes)
        if isinstance(held, Lane):
            script = around("finishInLane", "moveToFinished")
            by, reply = await self.client.run(script, (*keys, held.key, held.mark), args)
            return Finished(wire.decode_fetched(_checked(reply, job.id)), by or None)
        reply = await self.client.run(*_giving_back(held, "moveToFinished", keys, args))
        return Finished(wire.decode_fetched(_checked(reply, job.id)))

    async def delay(self, job: Job, delay: Delay, claimant: Claimant, held: Held, *, fetch: bool) -> Finished:
        """Move the active job to delayed, give its lock back and fetch the next. Raises: LockLost.

        Source: moveToDelayed.
        """
        before = self._keys(("marker", "active", "prioritized", "delayed"))
        after = self._keys(("events", "meta", "stalled", "wait", "limiter", "pc"))
        keys = (*before, self.keys.job(job.id), *after)
        skips_attempt = "0" if delay.counts else "1"
        packed = packing.packed_map(claimant.packed)
        where = (self.keys.base, now_ms(), job.id, claimant.token, delay.delay_ms, skips_attempt)
        args = (*where, packing.pack_fields(delay.fields), int(fetch), packed)
        reply = await self.client.run(*_giving_back(held, "moveToDelayed", keys, args))
        return Finished(wire.decode_fetched(_checked(reply, job.id)))

    async def retry(self, job: Job, fields: Mapping[str, str], token: str, held: Held) -> Finished:
        """Move the active job back to waiting, as one attempt used. Raises: LockLost. Source: retryJob."""
        before = self._keys(("active", "wait", "paused"))
        after = self._keys(("meta", "events", "delayed", "prioritized", "pc", "marker", "stalled"))
        keys = (*before, self.keys.job(job.id), *after)
        push = "RPUSH" if job.options.get("lifo") else "LPUSH"
        args = (self.keys.base, now_ms(), push, job.id, token, packing.pack_fields(fields))
        _checked(await self.client.run(*_giving_back(held, "retryJob", keys, args)), job.id)
        return Finished(wire.NOTHING)

    async def release(self, job: Job, token: str, held: Held) -> Finished:
        """Put the active job back at the head of the queue, uncounted. Raises: LockLost."""
        words = ("active", "wait", "stalled", "paused", "meta", "limiter", "prioritized", "marker", "events")
        args = (job.id, token, self.keys.job(job.id))
        call = _giving_back(held, "moveJobFromActiveToWait", self._keys(words), args)
        _checked(await self.client.run(*call), job.id)
        return Finished(wire.NOTHING)

    def _keys(self, words: Sequence[str]) -> tuple[str, ...]:
        return tuple(map(self.keys.of, words))

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
        args = (next_ms, job.scheduler_id or "", "{}", packing.pack(options), now_ms(), self.keys.base, job.id)
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


def _giving_back(held: Held, shipped_name: str, keys: tuple[str, ...], args: tuple[Argument, ...]) -> Call:
    """The shipped transition; a singleton's lock is given back in the same step."""
    if isinstance(held, Lock):
        return around("givingLockBack", shipped_name), (*keys, held.key), (*args, held.token)
    return shipped(shipped_name), keys, args


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


def _added_or_error(reply: Any, name: str) -> Added | Exception:
    try:
        return reply if isinstance(reply, Exception) else _added(_checked(reply, name))
    except RedisError as error:
        return error


def _added(reply: Any) -> Added:
    """The shipped scripts answer with the job's id, ours with a list (see addOnce and addSuperseding)."""
    if not isinstance(reply, list):
        return Added(str(reply))
    created, job_id, *superseded = cast(Any, reply)
    return Added(str(job_id), bool(created), next(iter(superseded), None) or None)


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
