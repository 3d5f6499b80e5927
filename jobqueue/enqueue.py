"""Enqueue: from a handler and a payload to a stored job. Everything is checked before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Final, Protocol, cast

from jobqueue import encoding, ties, wire
from jobqueue.clock import now_ms
from jobqueue.errors import (
    ConnectionLost,
    InvalidOption,
    InvalidPayload,
    LockLost,
    OutcomeUnknown,
    PayloadTooLarge,
    QueueFull,
    RedisError,
    RedisReplyError,
    RedisUnavailable,
)
from jobqueue.events import Event, Events
from jobqueue.handler import Handler
from jobqueue.job import MAX_DELAY_MS, DatabaseSession, Enqueued, EnqueueOptions, Envelope, OutcomeSource
from jobqueue.options import NOTHING_ASKED, CheckedOptions, check_options
from jobqueue.packing import Entries
from jobqueue.queue import NOT_ITS_OWN, Queue
from jobqueue.redis.retry import Pause, is_refused_for_now
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.ties import Ties
from jobqueue.tracing import Sending, Tracing, sent_under
from jobqueue.transitions import ANY_TERMS, Added, Creator, Terms
from jobqueue.wire import NewJob

CLOSING_S: Final = 0.02
"""How long to wait where an overflow is about to end."""

_BARE = Envelope(None)


class Outbox(Protocol):
    """Where jobs stand that are not in Redis yet: in the caller's transaction, or for want of room."""

    async def write(self, session: DatabaseSession, jobs: Sequence[NewJob]) -> Sequence[Added]: ...
    async def spill(self, jobs: Sequence[NewJob]) -> Sequence[Added]: ...


@dataclass(frozen=True, slots=True)
class Enqueuer:
    """Encodes jobs and adds them; one for each app."""

    settings: Settings
    registry: Registry
    queue_named: Callable[[str], Queue]
    outcomes: OutcomeSource
    outbox: Callable[[], Outbox]
    events: Events = field(default_factory=Events)

    async def enqueue(
        self,
        handler: Handler[Any] | str,
        payload: Any = None,
        options: EnqueueOptions | None = None,
        created_by: str | None = None,
        creator: Creator | None = None,
    ) -> Enqueued:
        """Store one job; with a `creator` only while that run has its job.

        Raises: EnqueueError, with nothing written; RedisUnavailable; RedisReplyError; OutcomeUnknown;
        DatabaseUnavailable where the job goes by the outbox; LockLost.
        """
        asked = check_options(options or {})
        job = self.encode(handler, payload, asked, created_by)
        terms = self.terms(asked)
        if creator is not None:
            terms = await self._as_created_by(creator, job, asked, terms)
        if self.events.tracing is not None:
            added = await self._traced(self.events.tracing, job, partial(self._put, asked=asked, terms=terms))
        else:
            added = await self._put(job, asked, terms)
        return self._enqueued(job, added)

    async def store(self, job: NewJob) -> Enqueued:
        """Store what `encode` made, however full the queue is. Raises: as `enqueue`."""
        put = partial(self._add, self.queue_named(job.queue), terms=ANY_TERMS)
        tracing = self.events.tracing
        return self._enqueued(job, await (put(job) if tracing is None else self._traced(tracing, job, put)))

    def tell(self, job: NewJob, added: Added) -> None:
        """What listeners hear of a job that is new. Asked only where there are some."""
        if added.created:
            detail = "outboxed" if added.outboxed else None
            self.events.emit(Event("job.enqueued", job.queue, job.name, added.job_id, detail))

    def terms(self, asked: CheckedOptions) -> Terms:
        """On what terms a job that somebody asked for is added."""
        if asked.bypass_outbox or not self.settings.has_overflow:
            return ANY_TERMS
        return _bounded(self.settings.jobs_max_queue_depth)

    async def _as_created_by(self, creator: Creator, job: NewJob, asked: CheckedOptions, terms: Terms) -> Terms:
        """A script cannot look into another queue of a cluster, nor a transaction into Redis: there it is asked before.

        Raises: LockLost.
        """
        if job.queue == creator.queue and asked.session is None:
            return terms._replace(lock=creator.lock, token=creator.token)
        if await self.queue_named(creator.queue).client.call("GET", creator.lock) != creator.token:
            raise LockLost(NOT_ITS_OWN)
        return terms

    def _put(self, job: NewJob, asked: CheckedOptions, terms: Terms) -> Awaitable[Added]:
        return self._add_or_spill(job, terms) if asked.session is None else self._write(asked.session, job)

    async def _traced(self, tracing: Tracing, job: NewJob, put: Callable[[NewJob], Awaitable[Added]]) -> Added:
        """Store the job under a span that its tries will be children of."""
        with sent_under(tracing, Sending("add", job.queue, (job.name,))) as sent:
            added = await put(wire.traced(job, sent.carried))
            sent.job_ids = (added.job_id,)
            return added

    async def _write(self, session: DatabaseSession, job: NewJob) -> Added:
        return (await self.outbox().write(session, [job]))[0]

    async def _add_or_spill(self, job: NewJob, terms: Terms) -> Added:
        gives_up_at_s = asyncio.get_running_loop().time() + self.settings.redis_call_ms / 1000
        while True:
            try:
                return await self._add(self.queue_named(job.queue), job, terms)
            except QueueFull as full:
                if not full.is_closing or asyncio.get_running_loop().time() > gives_up_at_s:
                    return (await self.outbox().spill([job]))[0]
            await asyncio.sleep(CLOSING_S)

    def _enqueued(self, job: NewJob, added: Added) -> Enqueued:
        if self.events.listeners:
            self.tell(job, added)
        job_id, created, superseded, outboxed = added
        return Enqueued(job_id, job.name, job.queue, created, superseded, outboxed, self.outcomes)

    def encode(
        self,
        handler: Handler[Any] | str,
        payload: Any,
        asked: CheckedOptions,
        created_by: str | None = None,
        cron_job_id: str | None = None,
    ) -> NewJob:
        """The job as it would be stored; with `cron_job_id` that of a trigger.

        Raises: UnknownHandler, InvalidPayload, PayloadTooLarge, InvalidOption.
        """
        known = self._known(handler)
        policy = known.policy
        valid = _validate(known, payload, as_json=isinstance(handler, str))
        now = now_ms()
        queue = asked.queue or policy.queue or self.settings.jobs_queue
        envelope = _envelope(known, valid, asked, created_by, now)
        if cron_job_id is not None:
            envelope = envelope._replace(type="cronTrigger", id=cron_job_id)
        return NewJob(
            queue=queue,
            name=known.name,
            data=wire.encode_data(self._encode_payload(known, valid), envelope),
            job_id=asked.job_id,
            timestamp_ms=now,
            delay_ms=_delay_ms(asked, now, policy.first_delay_ms),
            priority=policy.priority if asked.priority is None else asked.priority,
            options=_options(known, asked),
            ties=self._ties(queue, known, valid, envelope, now),
        )

    def _ties(self, queue: str, handler: Handler[Any], payload: Any, envelope: Envelope, now: int) -> Ties:
        try:
            return ties.of_new_job(self.queue_named(queue).keys, handler, payload, envelope, now)
        except ValueError as error:
            raise InvalidPayload(handler.name, {"payload": str(error)}) from error

    def _known(self, handler: object) -> Handler[Any]:
        """The handler as it is registered, where its policy may be a configured one."""
        if isinstance(handler, str):
            return self.registry.get(handler)
        if not isinstance(handler, Handler):
            raise InvalidOption("handler", f"must be a handler or its name, not {handler!r:.100}; see make_job")
        return self.registry.current(cast(Any, handler))

    def _encode_payload(self, handler: Handler[Any], payload: Any) -> str:
        if handler.payload is None:
            return "null"
        try:
            encoded = encoding.encode_payload(handler.payload, payload, has_secrets=handler.has_secrets)
        except ValueError as error:
            raise InvalidPayload(handler.name, {"payload": f"cannot be stored as JSON: {error}"}) from error
        size, limit = encoding.utf8_size(encoded), self.settings.jobs_max_payload_bytes
        if size > limit:
            raise PayloadTooLarge(size, limit)
        return encoded

    async def _add(self, queue: Queue, job: NewJob, terms: Terms) -> Added:
        """Where a call can leave at once its own time limit holds, and a timer around it would cost more than it."""
        gives_up_at_s = asyncio.get_running_loop().time() + self.settings.redis_call_ms / 1000
        trouble: RedisError | None = None
        if queue.client.is_ready:
            try:
                return await queue.add(job, terms)
            except (RedisUnavailable, RedisReplyError) as error:
                trouble = error
        return await self._add_until(gives_up_at_s, queue, job, terms, trouble)

    async def _add_until(
        self, gives_up_at_s: float, queue: Queue, job: NewJob, terms: Terms, trouble: RedisError | None
    ) -> Added:
        """With a job id a lost answer is asked for again, since Redis keeps one; without, that would repeat the job.
        What a server refused that is not the one to ask, or not yet, was not executed and is asked again."""
        pause, in_doubt = Pause(), False
        try:
            async with asyncio.timeout_at(gives_up_at_s):
                while True:
                    if trouble is not None:
                        in_doubt = in_doubt or isinstance(trouble, ConnectionLost)
                        if not is_refused_for_now(trouble) and (not in_doubt or job.job_id is None):
                            raise trouble
                        await pause.rest()
                    trouble = None
                    try:
                        return await queue.add(job, terms)
                    except (RedisUnavailable, RedisReplyError) as error:
                        trouble = error
        except (ConnectionLost, TimeoutError) as error:
            if trouble is not None and not in_doubt:
                raise trouble from error
            raise in_doubt_about(queue, error) from error


def in_doubt_about(queue: Queue, error: ConnectionLost | TimeoutError) -> OutcomeUnknown:
    """What a producer is told whose jobs may be stored or not."""
    reason = error.reason if isinstance(error, ConnectionLost) else "no answer in time"
    return OutcomeUnknown(f"Redis at {queue.client.address}: {reason}. {OutcomeUnknown.__doc__}")


@lru_cache(maxsize=100)
def _bounded(depth: int) -> Terms:
    return Terms(below=depth)


@lru_cache(maxsize=10_000)
def _usual_options(handler: Handler[Any]) -> Entries:
    return wire.encode_options(handler.policy, attempts=handler.policy.attempts, backoff=handler.policy.backoff)


def _options(handler: Handler[Any], asked: CheckedOptions) -> Entries:
    if asked.attempts is None and asked.backoff is None:
        return _usual_options(handler)
    policy = handler.policy
    return wire.encode_options(
        policy, attempts=asked.attempts or policy.attempts, backoff=asked.backoff or policy.backoff
    )


def _validate(handler: Handler[Any], payload: Any, *, as_json: bool) -> Any:
    """A payload for a handler that is only named may be JSON, which strict types read differently."""
    try:
        return handler.validate(payload)
    except InvalidPayload:
        if not as_json or handler.payload is None or not isinstance(payload, dict | list | str | int | float | bool):
            raise
        try:
            text = encoding.encode_json(payload)
        except ValueError as error:
            raise InvalidPayload(handler.name, {"payload": f"is not JSON: {error}"}) from error
        return handler.validate_json(text)


def _envelope(handler: Handler[Any], payload: Any, asked: CheckedOptions, created_by: str | None, now: int) -> Envelope:
    if asked is NOTHING_ASKED and created_by is None and not ties.is_bound(handler):
        return _BARE
    try:
        dedupe_key = handler.dedupe_key_of(payload)
    except ValueError as error:
        raise InvalidPayload(handler.name, {"payload": str(error)}) from error
    return Envelope(
        None,
        dedupe_key=dedupe_key,
        created_by=asked.created_by or created_by,
        timeout_ms=asked.timeout_ms,
        related=asked.related,
        order_key=ties.order_key_of(handler, asked.order_key, asked.related),
        expires_at_ms=None if asked.expires_in_ms is None else now + asked.expires_in_ms,
    )


def _delay_ms(asked: CheckedOptions, now: int, first_delay_ms: int) -> int:
    if asked.delay_ms is not None:
        return asked.delay_ms
    if asked.run_at_ms is None:
        return first_delay_ms
    delay_ms = max(asked.run_at_ms - now, 0)
    if delay_ms > MAX_DELAY_MS:
        raise InvalidOption("run_at", "is more than 50 years away")
    return delay_ms
