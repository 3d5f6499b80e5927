"""Reading: one job as a screen shows it, masked, whatever is the matter with its hash."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from jobqueue import encoding, wire
from jobqueue.app import App
from jobqueue.errors import JobNotFound, MalformedJob
from jobqueue.handler import Handler
from jobqueue.inspector.kinship import kin_of, place_of
from jobqueue.inspector.stored import clean, read
from jobqueue.inspector.turns import dedupes_of, turn_of
from jobqueue.inspector.views import Dedupe, JobView, Kin, Moment, Turn
from jobqueue.job import CANCELLED, Job, JobOptions, State
from jobqueue.keys import QueueKeys
from jobqueue.masking import PLAIN, Masker, mask, masker_of
from jobqueue.queue import Queue

MAX_LOG_LINES: Final = 1_000

_SEQUENCE = 4096
_STAMP = re.compile(r"[0-9]{1,16}")


class Reader:
    """Reads the jobs of an app's queues.

    The payload of a handler that is registered here is masked by its type and by the names of its fields; that of one
    which is not, as results, progress and options are, by the names alone: a SecretStr of another service's handler is
    a plain text here, so let it have a name that tells.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._client = app.client

    def queue(self, name: str) -> Queue:
        """Raises: InvalidOption for a name that no queue can have."""
        return Queue(self._client, QueueKeys(self._app.settings.jobs_prefix, name))

    def handler(self, fields: Mapping[str, str]) -> Handler[Any] | None:
        """The handler of the job that has these fields, where it is registered here."""
        return self._app.registry.find(fields.get("name", ""))

    @property
    def secretive(self) -> list[str]:
        """The names of the handlers whose payload type holds a secret."""
        return [handler.name for handler in self._app.registry if handler.has_secrets]

    async def job(self, queue: Queue, job_id: str) -> JobView:
        """One job with its log. Raises: JobNotFound."""
        keys = queue.keys
        state, fields, run_at_ms, logs, log_count = await asyncio.gather(
            queue.state(job_id),
            self._fields(queue, job_id),
            self._run_at_ms(queue, job_id),
            read(self._client, "LRANGE", keys.job_logs(job_id), -MAX_LOG_LINES, -1),
            read(self._client, "LLEN", keys.job_logs(job_id)),
        )
        if state == "unknown" and "timestamp" not in fields:
            # Not every hash of the queue is a job: its meta, our lanes and locks and its schedulers are none.
            raise JobNotFound(job_id, queue.name)
        view = self.view(queue.name, job_id, state, fields, run_at_ms)
        turn, creator, parent, dedupe = await asyncio.gather(
            self._turn(queue, job_id, state, fields),
            self._creator(queue, view.job),
            self._parent(queue, view.job),
            self._dedupe(queue, job_id, fields),
        )
        return replace(
            view,
            logs=tuple(map(clean, logs or ())),
            log_count=log_count or 0,
            turn=turn,
            creator=creator,
            parent=parent,
            timeline=_timeline(view),
            dedupe=dedupe,
        )

    async def entry(self, queue: Queue, job_id: str, state: State) -> JobView:
        """One job as a list has it."""
        fields, run_at_ms = await asyncio.gather(self._fields(queue, job_id), self._run_at_ms(queue, job_id))
        view = self.view(queue.name, job_id, state, fields, run_at_ms)
        return replace(view, turn=await self._turn(queue, job_id, state, fields))

    def view(
        self, queue: str, job_id: str, state: State, fields: Mapping[str, str], run_at_ms: int | None = None
    ) -> JobView:
        """What these fields of a job say, masked."""
        masker = masker_for(self.handler(fields))
        shown_id = clean(job_id)
        cancelled = state == "failed" and fields.get("failedReason", "").startswith(CANCELLED)
        try:
            job = _masked(wire.decode_job(queue, shown_id, fields), masker)
        except MalformedJob as error:
            raw = {name: masker.raw(text) if name == "data" else PLAIN.raw(text) for name, text in fields.items()}
            problem = str(error) if fields else "its hash is gone"
            return JobView(queue, shown_id, state, None, problem, raw, run_at_ms, cancelled=cancelled)
        return JobView(queue, shown_id, state, job, run_at_ms=run_at_ms, cancelled=cancelled)

    async def enqueued_at_ms(self, queue: Queue, job_id: str) -> int | None:
        """When the job was enqueued; None where it is gone already."""
        stamp = await read(self._client, "HGET", queue.keys.job(job_id), "timestamp")
        return int(stamp) if stamp is not None and _STAMP.fullmatch(stamp) else None

    async def _fields(self, queue: Queue, job_id: str) -> Mapping[str, str]:
        flat: Sequence[str] = await read(self._client, "HGETALL", queue.keys.job(job_id)) or ()
        return wire.pairs([clean(part) for part in flat])

    async def _run_at_ms(self, queue: Queue, job_id: str) -> int | None:
        """Source: BullMQ's score of a delayed job, its time × 4096 + a sequence number."""
        score = await self._client.call("ZSCORE", queue.keys.of("delayed"), job_id)
        return None if score is None else int(float(score)) // _SEQUENCE

    async def _turn(self, queue: Queue, job_id: str, state: State, fields: Mapping[str, str]) -> Turn | None:
        if state != "waiting-children":
            return None
        job = _readable(queue, job_id, fields)
        turn = None if job is None else await turn_of(queue, job, self.handler(fields))
        return None if turn is None else replace(turn, holders=tuple(map(clean, turn.holders)))

    async def _dedupe(self, queue: Queue, job_id: str, fields: Mapping[str, str]) -> tuple[Dedupe, ...]:
        job = _readable(queue, job_id, fields)
        found = () if job is None else await dedupes_of(queue, job, self.handler(fields), fields.get("deid"))
        return tuple(replace(one, holder=None if one.holder is None else clean(one.holder)) for one in found)

    async def _creator(self, queue: Queue, job: Job | None) -> str | None:
        """Whoever is named as the creator need not be a job, nor one of this queue."""
        named = None if job is None else job.envelope.created_by
        return named if named is not None and await self.enqueued_at_ms(queue, named) is not None else None

    async def _parent(self, queue: Queue, job: Job | None) -> Kin | None:
        place = None if job is None or job.parent_key is None else place_of(queue.keys.prefix, job.parent_key)
        return None if place is None else (await kin_of(self._client, queue.keys.prefix, [place]))[0]


def _readable(queue: Queue, job_id: str, fields: Mapping[str, str]) -> Job | None:
    """The job as it is stored; None where nobody can tell what it is, so neither what it waits for or holds."""
    try:
        return wire.decode_job(queue.name, job_id, fields)
    except MalformedJob:
        return None


def masker_for(handler: Handler[Any] | None) -> Masker:
    """What masks the payloads of a handler's jobs; by the names of fields alone where it is not registered here."""
    return PLAIN if handler is None else masker_of(handler.payload)


def _masked(job: Job, masker: Masker) -> Job:
    return job._replace(
        envelope=job.envelope._replace(payload=masker.payload(job.envelope.payload)),
        options=JobOptions(mask(dict(job.options))),
        progress=mask(job.progress),
        result=mask(job.result),
    )


def _timeline(view: JobView) -> tuple[Moment, ...]:
    """What BullMQ keeps of a job's times; of several tries only when the last one started.

    What was to come when the job finished never came.
    """
    job = view.job
    if job is None:
        return ()
    asked_ms = encoding.as_whole(job.options.get("delay")) or 0
    due_ms = view.run_at_ms or (job.enqueued_at_ms + asked_ms if asked_ms > 0 else None)
    moments = (
        Moment("enqueued", job.enqueued_at_ms),
        *(Moment("delayed until", at_ms) for at_ms in (due_ms,) if at_ms is not None),
        *(Moment("started", at_ms) for at_ms in (job.processed_at_ms,) if at_ms is not None),
        *(Moment("finished", at_ms) for at_ms in (job.finished_at_ms,) if at_ms is not None),
    )
    ended_ms = job.finished_at_ms
    reached = (one for one in moments if ended_ms is None or one.what != "delayed until" or one.at_ms <= ended_ms)
    return tuple(sorted(reached, key=lambda moment: moment.at_ms))


def state_word(state: State) -> str:
    """BullMQ's key for a state."""
    return "wait" if state == "waiting" else state
