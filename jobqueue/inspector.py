"""Inspector: the one read-and-act API of every screen. What it returns is masked and fit to be shown."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, get_args

from jobqueue import encoding, wire
from jobqueue.app import App
from jobqueue.errors import (
    InvalidOption,
    JobNotFound,
    JobNotInState,
    MalformedJob,
    QueueVersionError,
    RedisReplyError,
)
from jobqueue.job import QUEUE_NAME, Job, JobOptions, State
from jobqueue.keys import QueueKeys
from jobqueue.masking import PLAIN, Masker, mask, masker_of
from jobqueue.queue import Queue
from jobqueue.scripts import shipped

STATES: Final[tuple[State, ...]] = tuple(state for state in get_args(State) if state != "unknown")
"""The states that a job can be listed by, in BullMQ's words."""

MAX_LIMIT: Final = 100
MAX_LOG_LINES: Final = 1_000
MAX_SORTED: Final = 1_000
MAX_OFFSET: Final = 2**53

_SCAN_CALLS = 50
_SCAN_KEYS = 1_000
_MAX_FOUND_QUEUES = 1_000
_LISTS = ("waiting", "active", "paused")
_BY_FINISH_TIME = ("completed", "failed")
_STATE_KEYS = ("completed", "failed", "delayed", "active", "wait", "paused", "waiting-children", "prioritized")
_RETRY_KEYS = ("events", "failed", "wait", "meta", "active", "marker", "prioritized", "pc")
_NOT_A_JOB: Final = -1
_SEQUENCE = 4096
_STAMP = re.compile(r"[0-9]{1,16}")
_GLOB = re.compile(r"([\\*?\[\]])")


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue as a screen shows it.

    `counts` has every state of STATES. `refused` says why the queue is not served (BullMQ 5 data); the counts are
    empty then.
    """

    name: str
    paused: bool = False
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as a screen shows it; its payload, result, progress and options are masked.

    Invariant: where the hash cannot be read `job` is None, `problem` says why and `raw` has its fields; else `raw` is
    empty. Units: `run_at_ms` epoch milliseconds, set while the job is delayed. `logs` are the last MAX_LOG_LINES of
    `log_count` lines; a list leaves them out.
    """

    queue: str
    id: str
    state: State
    job: Job | None
    problem: str | None = None
    raw: Mapping[str, str] = field(default_factory=dict[str, str])
    run_at_ms: int | None = None
    logs: tuple[str, ...] = ()
    log_count: int = 0


@dataclass(frozen=True, slots=True)
class JobList:
    """One page of the jobs in a state, newest first. `offset` and `limit` are those that were used."""

    jobs: tuple[JobView, ...]
    total: int
    offset: int
    limit: int


class Inspector:
    """Looks into the queues of an app and acts on their jobs.

    Raises, from every method: RedisUnavailable and its kin; QueueVersionError for a queue that holds BullMQ 5 data;
    InvalidOption for a queue's name that cannot be one.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._client = app.client
        self._found: set[str] = set()
        self._cursor = "0"

    async def ping(self) -> None:
        """Returns when Redis has answered."""
        await self._client.call("PING")

    # Queues

    async def queues(self) -> tuple[QueueView, ...]:
        """The queues of the registry's handlers first, then the others that Redis knows under the prefix, by name.

        The search for others is bounded: in a very large Redis it goes on with each call, so a queue may appear late.
        """
        await self._look_for_queues()
        own = self._app.queue_names()
        others = sorted(self._found.difference(own))
        alive = await asyncio.gather(*(self.has_queue(name) for name in others))
        names = [*own, *(name for name, lives in zip(others, alive, strict=True) if lives)]
        self._found.intersection_update(names)
        return tuple(await asyncio.gather(*map(self.queue, names)))

    async def queue(self, name: str) -> QueueView:
        """One queue; a name that nobody uses has no jobs."""
        queue = self._queue(name)
        try:
            _, paused, counts = await asyncio.gather(
                queue.check_version(),
                self._client.call("HEXISTS", queue.keys.of("meta"), "paused"),
                self._client.run(shipped("getCounts"), [queue.keys.base], [_word(state) for state in STATES]),
            )
        except QueueVersionError as error:
            return QueueView(name, refused=str(error))
        return QueueView(name, bool(paused), dict(zip(STATES, counts, strict=True)))

    async def has_queue(self, name: str) -> bool:
        """True for the queues that `queues` lists, or would when it had looked everywhere."""
        if name in self._app.queue_names():
            return True
        return bool(re.fullmatch(QUEUE_NAME, name) and await self._client.call("EXISTS", self._keys(name).of("meta")))

    async def _look_for_queues(self) -> None:
        prefix = self._app.settings.jobs_prefix
        pattern = _GLOB.sub(r"\\\1", prefix) + ":*:meta"
        for _ in range(_SCAN_CALLS):
            self._cursor, keys = await self._client.call(
                "SCAN", self._cursor, "MATCH", pattern, "COUNT", _SCAN_KEYS, "TYPE", "hash"
            )
            names = (key[len(prefix) + 1 : -len(":meta")] for key in map(_clean, keys))
            self._found.update(name for name in names if re.fullmatch(QUEUE_NAME, name))
            if self._cursor == "0" or len(self._found) >= _MAX_FOUND_QUEUES:
                break

    # Jobs

    async def jobs(self, queue: str, state: State, offset: int = 0, limit: int = 50) -> JobList:
        """The jobs in one state, newest first: finished ones by finish time, others by the time of enqueueing.

        Past MAX_SORTED unfinished jobs the order is the queue's own: the last added first; delayed ones by their run
        time, prioritized ones by rank, last first. `limit` is clamped to 1..MAX_LIMIT, a negative offset to 0.
        Raises: InvalidOption for a state that is none of STATES.
        """
        if state not in STATES:
            raise InvalidOption("state", f"must be one of {', '.join(STATES)}, not {state!r:.100}")
        opened = self._queue(queue)
        await opened.check_version()
        offset, limit = min(max(offset, 0), MAX_OFFSET), min(max(limit, 1), MAX_LIMIT)
        total, ids = await self._ids(opened, state, offset, limit)
        jobs = await asyncio.gather(*(self._list_entry(opened, job_id, state) for job_id in ids))
        return JobList(tuple(jobs), total, offset, limit)

    async def _ids(self, queue: Queue, state: State, offset: int, limit: int) -> tuple[int, Sequence[str]]:
        key = queue.keys.of(_word(state))
        count, read = ("LLEN", "LRANGE") if state in _LISTS else ("ZCARD", "ZREVRANGE")
        total: int = await self._client.call(count, key)
        if state in _BY_FINISH_TIME or total > MAX_SORTED:
            return total, await self._client.call(read, key, offset, offset + limit - 1)
        ids: list[str] = await self._client.call(read, key, 0, MAX_SORTED - 1)
        stamps = await asyncio.gather(*(self._enqueued_at_ms(queue, job_id) for job_id in ids))
        ranked = sorted(zip(stamps, ids, strict=True), key=lambda pair: pair[0] or 0, reverse=True)
        return total, [job_id for _, job_id in ranked[offset : offset + limit]]

    async def _list_entry(self, queue: Queue, job_id: str, state: State) -> JobView:
        fields, run_at_ms = await asyncio.gather(self._fields(queue, job_id), self._run_at_ms(queue, job_id))
        return self._view(queue.name, job_id, state, fields, run_at_ms)

    async def job(self, queue: str, job_id: str) -> JobView:
        """One job with its log. Raises: JobNotFound."""
        opened = self._queue(queue)
        keys = opened.keys
        _, state, fields, run_at_ms, logs, log_count = await asyncio.gather(
            opened.check_version(),
            self._state(opened, job_id),
            self._fields(opened, job_id),
            self._run_at_ms(opened, job_id),
            self._read("LRANGE", keys.job_logs(job_id), -MAX_LOG_LINES, -1),
            self._read("LLEN", keys.job_logs(job_id)),
        )
        if state == "unknown" and "timestamp" not in fields:
            # Not every hash of the queue is a job: its meta, our lanes and locks and its schedulers are none.
            raise JobNotFound(job_id, queue)
        view = self._view(queue, job_id, state, fields, run_at_ms)
        return replace(view, logs=tuple(map(_clean, logs or ())), log_count=log_count or 0)

    async def enqueued_at_ms(self, queue: str, job_id: str) -> int | None:
        """When the job was enqueued; None where it is gone already."""
        return await self._enqueued_at_ms(self._queue(queue), job_id)

    async def check_version(self, queue: str) -> None:
        """Raises: QueueVersionError."""
        await self._queue(queue).check_version()

    async def retry(self, queue: str, job_id: str) -> None:
        """Put a failed job back to waiting, its attempts counted from the start.

        Concurrency: one script decides and acts; of two callers one gets JobNotInState.
        Raises: JobNotFound; JobNotInState, which names the state that the job is in. Source: reprocessJob.
        """
        opened = self._queue(queue)
        await opened.check_version()
        options = await self._read("HGET", opened.keys.job(job_id), "opts")
        keys = [opened.keys.job(job_id), *map(opened.keys.of, _RETRY_KEYS)]
        args = [job_id, "RPUSH" if _is_lifo(options) else "LPUSH", "failedReason", "failed", "1", "1"]
        reply = await self._client.run(shipped("reprocessJob"), keys, args)
        if reply == _NOT_A_JOB:
            raise JobNotFound(job_id, queue)
        if reply < 0:
            raise JobNotInState(job_id, "failed", (await self.job(queue, job_id)).state)

    # Inside

    def _keys(self, name: str) -> QueueKeys:
        return QueueKeys(self._app.settings.jobs_prefix, name)

    def _queue(self, name: str) -> Queue:
        return Queue(self._client, self._keys(name))

    async def _state(self, queue: Queue, job_id: str) -> State:
        keys = [queue.keys.of(word) for word in _STATE_KEYS]
        state: State = await self._client.run(shipped("getStateV2"), keys, [job_id])
        return state

    async def _fields(self, queue: Queue, job_id: str) -> Mapping[str, str]:
        flat: Sequence[str] = await self._read("HGETALL", queue.keys.job(job_id)) or ()
        return wire.pairs([_clean(part) for part in flat])

    async def _enqueued_at_ms(self, queue: Queue, job_id: str) -> int | None:
        stamp = await self._read("HGET", queue.keys.job(job_id), "timestamp")
        return int(stamp) if stamp is not None and _STAMP.fullmatch(stamp) else None

    async def _run_at_ms(self, queue: Queue, job_id: str) -> int | None:
        """Source: BullMQ's score of a delayed job, its time × 4096 + a sequence number."""
        score = await self._client.call("ZSCORE", queue.keys.of("delayed"), job_id)
        return None if score is None else int(float(score)) // _SEQUENCE

    async def _read(self, *command: str | int) -> Any:
        """A read of one job's key; None where that key is of another type, so no job's."""
        try:
            return await self._client.call(*command)
        except RedisReplyError as error:
            if error.code != "WRONGTYPE":
                raise
            return None

    def _view(self, queue: str, job_id: str, state: State, fields: Mapping[str, str], run_at_ms: int | None) -> JobView:
        handler = self._app.registry.find(fields.get("name", ""))
        masker = masker_of(handler.payload) if handler is not None else PLAIN
        shown_id = _clean(job_id)
        try:
            job = _masked(wire.decode_job(queue, shown_id, fields), masker)
        except MalformedJob as error:
            raw = {name: masker.raw(text) if name == "data" else PLAIN.raw(text) for name, text in fields.items()}
            problem = str(error) if fields else "its hash is gone"
            return JobView(queue, shown_id, state, None, problem, raw, run_at_ms)
        return JobView(queue, shown_id, state, job, run_at_ms=run_at_ms)


def _masked(job: Job, masker: Masker) -> Job:
    return job._replace(
        envelope=job.envelope._replace(payload=masker.payload(job.envelope.payload)),
        options=JobOptions(mask(dict(job.options))),
        progress=mask(job.progress),
        result=mask(job.result),
    )


def _word(state: str) -> str:
    """BullMQ's key for a state."""
    return "wait" if state == "waiting" else state


def _clean(text: str) -> str:
    """Bytes that are no UTF-8 come from Redis as lone surrogates, which no answer can carry."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _is_lifo(options: str | None) -> bool:
    try:
        return encoding.as_object(encoding.decode_json(options or "{}")).get("lifo") is True
    except ValueError:
        return False
