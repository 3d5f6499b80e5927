"""Inspector: reads queues and jobs, and acts on them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from jobqueue import wire
from jobqueue.app import App
from jobqueue.control import NO_REASON, Cancelling
from jobqueue.errors import (
    InvalidOption,
    JobNotFound,
    MalformedJob,
    QueueVersionError,
    RedisReplyError,
)
from jobqueue.inspector.turns import turn_of
from jobqueue.inspector.views import MAX_LIMIT, MAX_OFFSET, STATES, JobList, JobView, QueueView, Turn
from jobqueue.job import CANCELLED, QUEUE_NAME, Job, JobOptions, State
from jobqueue.keys import QueueKeys
from jobqueue.masking import PLAIN, Masker, mask, masker_of
from jobqueue.queue import Queue
from jobqueue.scripts import own, shipped

MAX_LOG_LINES: Final = 1_000
MAX_SORTED: Final = 1_000
MAX_LOOKED_AT: Final = 10_000
"""Failed jobs that a filter looks at, the latest first: as many as retention keeps by default."""

_LOOK = 1_000  # at a time: Redis does nothing else meanwhile, and needs some 3 ms for it
_SCAN_CALLS = 50
_SCAN_KEYS = 1_000
_MAX_FOUND_QUEUES = 1_000
_LISTS = ("waiting", "active", "paused")
_BY_FINISH_TIME = ("completed", "failed")
_SEQUENCE = 4096
_STAMP = re.compile(r"[0-9]{1,16}")
_GLOB = re.compile(r"([\\*?\[\]])")


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

    async def jobs(
        self, queue: str, state: State, offset: int = 0, limit: int = 50, *, cancelled: bool | None = None
    ) -> JobList:
        """The jobs in one state, newest first: finished ones by finish time, others by the time of enqueueing.

        Past MAX_SORTED unfinished jobs the order is the queue's own: the last added first; delayed ones by their run
        time, prioritized ones by rank, last first. `limit` is clamped to 1..MAX_LIMIT, a negative offset to 0.
        Of the failed jobs `cancelled` asks for those that were cancelled (True) or for the others (False), among the
        last MAX_LOOKED_AT.
        Raises: InvalidOption for a state that is none of STATES, and for `cancelled` with any other than failed.
        """
        if state not in STATES:
            raise InvalidOption("state", f"must be one of {', '.join(STATES)}, not {state!r:.100}")
        if cancelled is not None and state != "failed":
            raise InvalidOption("cancelled", f"tells failed jobs apart, so the state must be failed, not {state}")
        opened = self._queue(queue)
        await opened.check_version()
        offset, limit = min(max(offset, 0), MAX_OFFSET), min(max(limit, 1), MAX_LIMIT)
        if cancelled is None:
            total, ids = await self._ids(opened, state, offset, limit)
        else:
            total, ids = await self._failed_ids(opened, cancelled, offset, limit)
        jobs = await asyncio.gather(*(self._list_entry(opened, job_id, state) for job_id in ids))
        return JobList(tuple(jobs), total, offset, limit)

    async def _failed_ids(
        self, queue: Queue, cancelled: bool, offset: int, limit: int
    ) -> tuple[int | None, Sequence[str]]:
        """Those that were cancelled, or the others, latest first; and how many, where all could be looked at."""
        found: dict[str, None] = {}  # a job that fails meanwhile moves the others on, into the next look too
        first, count = 0, 1
        while first < min(count, MAX_LOOKED_AT):
            args = (queue.keys.base, CANCELLED, int(cancelled), first, first + _LOOK - 1)
            count, ids = await self._client.run(own("failedIds"), [queue.keys.of("failed")], args)
            found.update(dict.fromkeys(ids))
            first += _LOOK
        return (len(found) if count <= MAX_LOOKED_AT else None), list(found)[offset : offset + limit]

    async def _ids(self, queue: Queue, state: State, offset: int, limit: int) -> tuple[int | None, Sequence[str]]:
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
        view = self._view(queue.name, job_id, state, fields, run_at_ms)
        return replace(view, turn=await self._turn(queue, job_id, state, fields))

    async def job(self, queue: str, job_id: str) -> JobView:
        """One job with its log. Raises: JobNotFound."""
        opened = self._queue(queue)
        keys = opened.keys
        _, state, fields, run_at_ms, logs, log_count = await asyncio.gather(
            opened.check_version(),
            opened.state(job_id),
            self._fields(opened, job_id),
            self._run_at_ms(opened, job_id),
            self._read("LRANGE", keys.job_logs(job_id), -MAX_LOG_LINES, -1),
            self._read("LLEN", keys.job_logs(job_id)),
        )
        if state == "unknown" and "timestamp" not in fields:
            # Not every hash of the queue is a job: its meta, our lanes and locks and its schedulers are none.
            raise JobNotFound(job_id, queue)
        view = self._view(queue, job_id, state, fields, run_at_ms)
        turn, creator = await asyncio.gather(self._turn(opened, job_id, state, fields), self._creator(opened, view.job))
        log = tuple(map(_clean, logs or ()))
        return replace(view, logs=log, log_count=log_count or 0, turn=turn, creator=creator)

    async def enqueued_at_ms(self, queue: str, job_id: str) -> int | None:
        """When the job was enqueued; None where it is gone already."""
        return await self._enqueued_at_ms(self._queue(queue), job_id)

    async def check_version(self, queue: str) -> None:
        """Raises: QueueVersionError."""
        await self._queue(queue).check_version()

    async def retry(self, queue: str, job_id: str) -> None:
        """Put a failed job back to waiting, its attempts counted from the start.

        Concurrency: one script decides and acts; of two callers one gets JobNotInState.
        Raises: JobNotFound; JobNotInState, which names the state that the job is in; DuplicateJob.
        """
        await self._queue(queue).check_version()
        await self._app.retry_job(job_id, queue=queue)

    async def cancel(self, queue: str, job_id: str, reason: str = NO_REASON) -> Cancelling:
        """Keep a job from running, or tell its worker to stop it. It ends failed with `Cancelled: reason`.

        Raises: JobNotFound; JobFinished; InvalidOption for a reason that is no line of text.
        """
        await self._queue(queue).check_version()
        return await self._app.cancel_job(job_id, reason, queue=queue)

    # Inside

    def _keys(self, name: str) -> QueueKeys:
        return QueueKeys(self._app.settings.jobs_prefix, name)

    def _queue(self, name: str) -> Queue:
        return Queue(self._client, self._keys(name))

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

    async def _turn(self, queue: Queue, job_id: str, state: State, fields: Mapping[str, str]) -> Turn | None:
        if state != "waiting-children":
            return None
        try:
            job = wire.decode_job(queue.name, job_id, fields)
        except MalformedJob:
            return None  # it is shown as what it is; nobody can tell what it waits for
        turn = await turn_of(queue, job, self._app.registry.find(job.name))
        return None if turn is None else replace(turn, holders=tuple(map(_clean, turn.holders)))

    async def _creator(self, queue: Queue, job: Job | None) -> str | None:
        """Whoever is named as the creator need not be a job, nor one of this queue."""
        named = None if job is None else job.envelope.created_by
        return named if named is not None and await self._enqueued_at_ms(queue, named) is not None else None

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
        cancelled = state == "failed" and fields.get("failedReason", "").startswith(CANCELLED)
        try:
            job = _masked(wire.decode_job(queue, shown_id, fields), masker)
        except MalformedJob as error:
            raw = {name: masker.raw(text) if name == "data" else PLAIN.raw(text) for name, text in fields.items()}
            problem = str(error) if fields else "its hash is gone"
            return JobView(queue, shown_id, state, None, problem, raw, run_at_ms, cancelled=cancelled)
        return JobView(queue, shown_id, state, job, run_at_ms=run_at_ms, cancelled=cancelled)


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
