"""Queue: a job on its way in and to its worker: added, claimed, entered, looked at. Each transition is one script call.

`ending` has the way out, `steering` what is done to a job from outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, Final, Literal, cast

from jobqueue import packing, wire
from jobqueue.answers import checked
from jobqueue.clock import now_ms
from jobqueue.errors import (
    DuplicateJob,
    HoldLost,
    JobNotFound,
    LockLost,
    QueueFull,
    QueueVersionError,
    RedisError,
    RedisReplyError,
)
from jobqueue.job import Job, State
from jobqueue.keys import QueueKeys
from jobqueue.redis.client import Call, Client
from jobqueue.redis.connection import Argument
from jobqueue.scripts import around, own, shipped
from jobqueue.ties import Ties, pack_ties
from jobqueue.transitions import ANY_TERMS, Added, Claimant, Entry, Mark, Stalled, Terms
from jobqueue.wire import Fetched, NewJob

BULLMQ_VERSION: Final = "bullmq:6.7.0"
OLDEST_MAJOR: Final = 6

_DUPLICATE: Final = -1
_FULL: Final = -2
_HOLD_LOST: Final = -3
_CREATOR_LOST: Final = -4
_CLOSING: Final = -5
NOT_ITS_OWN: Final = "the job that enqueues it is another run's by now, or waits for one: nothing was stored"
_STATE_KEYS = ("completed", "failed", "delayed", "active", "wait", "paused", "waiting-children", "prioritized")

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
    "addParentJob": ("meta", "id", "delayed", "waiting-children", "completed", "events"),
}


class Queue:
    """One queue. Concurrency: every transition is atomic in Redis; none is repeated by itself.

    Raises: RedisUnavailable, ConnectionLost and RedisReplyError of the client, beside what a method names.
    """

    def __init__(self, client: Client, keys: QueueKeys) -> None:
        self.client = client
        self.keys = keys
        self.fetch_keys = keys.each(_FETCH_KEYS)
        """What a script wants that fetches the next job, but for the marker."""
        self._marker = keys.of("marker")
        self._add_keys = {name: keys.each(words) for name, words in _ADD_KEYS.items()}

    @property
    def name(self) -> str:
        return self.keys.queue

    # Adding

    async def add(self, job: NewJob, terms: Terms = ANY_TERMS) -> Added:
        """Store a job and claim its ties in the same step.

        Raises: DuplicateJob; QueueFull, HoldLost, LockLost as its terms say. Source: bullmq Scripts.addJob.
        """
        return _added(checked(await self.client.run(*self.adding(job, terms)), job.name), job.name)

    async def add_all(
        self, jobs: Sequence[NewJob], terms: Iterable[Terms] = repeat(ANY_TERMS)
    ) -> Sequence[Added | Exception]:
        """Store many jobs in one round trip: for each what became of it. Concurrency: each add is atomic, not all."""
        replies = await self.client.run_all(list(map(self.adding, jobs, terms)))
        return [_added_or_error(reply, job.name) for reply, job in zip(replies, jobs, strict=True)]

    def adding(self, job: NewJob, terms: Terms = ANY_TERMS) -> Call:
        """What `add` sends."""
        shipped_name = _add_script(job)
        keys = self._add_keys[shipped_name]
        args: tuple[Argument, ...] = (*wire.pack_new_job(self.keys.base, job), job.timestamp_ms)
        if not job.ties and job.job_id is None and terms is ANY_TERMS:
            return shipped(shipped_name), keys, args
        asked = pack_ties(
            job.ties,
            base=self.keys.base,
            jobId=job.job_id or "",
            now=job.timestamp_ms,
            startsIn=job.delay_ms,
            priority=job.priority,
            **terms._asdict(),
        )
        return around("addTied", shipped_name, "addParentJob"), keys, (*args, asked)

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
        reply = await self.client.run(shipped("moveToActive"), [*self.fetch_keys, self._marker], args)
        return wire.decode_fetched(reply)

    async def held_by(self, token: str, before: str | None = None) -> Fetched:
        """The active job that a token holds; what a lost answer would have said. `before` is what it held then."""
        args = (self.keys.base, token, before or "")
        reply = await self.client.run(own("heldBy"), [self.keys.of("active")], args)
        return wire.decode_fetched(reply)

    async def mark_ready(self) -> None:
        """Leave the marker that wakes a waiting worker, as every shipped add does."""
        await self.client.call("ZADD", self._marker, 0, "0")

    async def move_stalled(self, max_stalled: int, interval_ms: int, care_ms: int) -> Stalled:
        """Put active jobs without a lock back to waiting, unless that was done less than `interval_ms` ago.

        Before the last claim of one of them all workers are told to be careful for `care_ms`.
        Source: moveStalledJobsToWait.
        """
        words = ("stalled", "wait", "active", "stalled-check", "meta", "paused", "marker", "events", "repeat")
        args = (max_stalled, self.keys.base, now_ms(), interval_ms, max_stalled, care_ms)
        keys = [*self.keys.each(words), self.keys.care(), self.keys.signals()]
        ids, next_ms = await self.client.run(around("stalledCheck", "moveStalledJobsToWait"), keys, args)
        return Stalled(tuple(ids), next_ms if next_ms >= 0 else interval_ms)

    async def care_ms(self) -> int:
        """How long care is still to be taken; 0 where none is."""
        left_ms: int = await self.client.call("PTTL", self.keys.care())
        return max(left_ms, 0)

    async def enter(self, job: Job, ties: Ties, claimant: Claimant, *, fetch: bool) -> Entry:
        """Whether the active job may run now, holding its ties; where it is parked another is claimed in its place.

        Concurrency: atomic; safe to repeat while the job is the claimant's. Source: moveToActive for the next job.
        """
        asked = pack_ties(
            ties,
            base=self.keys.base,
            jobId=job.id,
            token=claimant.token,
            now=now_ms(),
            priority=job.priority,
            timestamp=job.enqueued_at_ms,
            ranBefore=job.attempts_started - job.stalled_count > 1,
            fetch=fetch,
        )
        args = (self.keys.base, now_ms(), packing.packed_map(claimant.packed), asked)
        return _entry(
            await self.client.run(around("enterTied", "moveToActive"), (*self.fetch_keys, self._marker), args)
        )

    async def advance_scheduler(
        self, job: Job, next_ms: int, options: Mapping[str, Any], token: str | None = None
    ) -> bool:
        """Add the next iteration of the scheduler that made this job, if the job is its current one.

        With a `token` only while the job is held under it.

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
        # Who promoted the job may have had another clock: what it makes is never older than the slot that has come.
        moment = max(now_ms(), job.slot_ms)
        args = (next_ms, job.scheduler_id or "", "{}", packing.pack(options), moment, self.keys.base, job.id)
        answer = await self._run_about("updateJobScheduler", keys, args, job.id, token)
        return answer is not None and answer[0] is not None

    # Reading

    async def job(self, job_id: str) -> Job:
        """Raises: JobNotFound, also for a key of the queue that is none; MalformedJob."""
        try:
            fields = wire.pairs(await self.client.call("HGETALL", self.keys.job(job_id)))
        except RedisReplyError as error:
            if error.code != "WRONGTYPE":
                raise
            raise JobNotFound(job_id, self.name) from None
        if "timestamp" not in fields:
            raise JobNotFound(job_id, self.name)
        return wire.decode_job(self.name, job_id, fields)

    async def state(self, job_id: str) -> State:
        """Source: getStateV2."""
        keys = self.keys.each(_STATE_KEYS)
        state: State = await self.client.run(shipped("getStateV2"), keys, [job_id])
        return state

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

    async def add_log(self, job_id: str, line: str, keep: int, token: str | None = None) -> bool:
        """Append a line to the job's log, capped; with a `token` only while the job is held under it. False where it
        is not. Source: addLog.
        """
        keys = [self.keys.job(job_id), self.keys.job_logs(job_id)]
        return await self._run_about("addLog", keys, [job_id, line, keep], job_id, token) is not None

    async def set_progress(self, job_id: str, progress_json: str, token: str | None = None) -> bool:
        """As `add_log`. Source: updateProgress."""
        keys = [self.keys.job(job_id), self.keys.of("events"), self.keys.of("meta")]
        return await self._run_about("updateProgress", keys, [job_id, progress_json], job_id, token) is not None

    async def remove_pending_children(self, job_id: str, token: str) -> bool:
        """Remove the children of a job that have not ended and do not run now, with their children; only while the job
        is held under `token`. False where it is not. Source: removeUnprocessedChildren.
        """
        keys = [self.keys.job(job_id), self.keys.of("meta")]
        args = [self.keys.base, job_id]
        return await self._run_about("removeUnprocessedChildren", keys, args, job_id, token) is not None

    async def _run_about(
        self, shipped_name: str, keys: Sequence[str], args: Sequence[Argument], job_id: str, token: str | None
    ) -> tuple[Any] | None:
        """What a shipped script answers; None where the job is not held under the token."""
        if token is None:
            return (await self.client.run(shipped(shipped_name), keys, args),)
        script = around("whileHeld", shipped_name)
        answer: list[Any] | int = await self.client.run(script, (*keys, self.keys.job_lock(job_id)), (*args, token))
        return (next(iter(answer), None),) if isinstance(answer, list) else None


def _entry(reply: Any) -> Entry:
    verdict, value = reply
    match verdict:
        case "run":
            return Entry("run", fence=int(value))
        case "cancelled" | "superseded" | "acknowledged":
            return Entry("marked", mark=Mark(verdict, value))
        case "booked":
            return Entry("booked", wait_ms=int(value))
        case "parked":
            return Entry("parked", next=wire.decode_fetched(value))
        case _:
            return Entry(verdict, other=value)


def _add_script(job: NewJob) -> str:
    if job.has_children:
        return "addParentJob"
    return "addDelayedJob" if job.delay_ms else "addPrioritizedJob" if job.priority else "addStandardJob"


def _added_or_error(reply: Any, name: str) -> Added | Exception:
    try:
        return reply if isinstance(reply, Exception) else _added(checked(reply, name), name)
    except (RedisError, DuplicateJob, QueueFull, HoldLost, LockLost) as error:
        return error


def _added(reply: Any, name: str) -> Added:
    """The shipped scripts answer with the job's id, ours with a list (see addTied).

    Raises: DuplicateJob, QueueFull, HoldLost, LockLost.
    """
    if not isinstance(reply, list):
        return Added(str(reply))
    created, job_id, *superseded = cast(Any, reply)
    if created == _DUPLICATE:
        raise DuplicateJob(name, str(job_id))
    if created == _FULL:
        raise QueueFull
    if created == _CLOSING:
        raise QueueFull(is_closing=True)
    if created == _HOLD_LOST:
        raise HoldLost
    if created == _CREATOR_LOST:
        raise LockLost(NOT_ITS_OWN)
    return Added(str(job_id), bool(created), next(iter(superseded), None) or None)
