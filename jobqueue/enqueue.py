"""Enqueue: from a handler and a payload to a stored job. Everything is checked before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias, cast

from jobqueue import encoding, wire
from jobqueue.clock import now_ms
from jobqueue.errors import (
    ConnectionLost,
    EnqueueError,
    InvalidOption,
    InvalidPayload,
    OutcomeUnknown,
    PayloadTooLarge,
    RedisUnavailable,
)
from jobqueue.handler import Handler, Superseding
from jobqueue.job import MAX_DELAY_MS, Enqueued, EnqueueOptions, Envelope, NewJob, OutcomeSource
from jobqueue.options import CheckedOptions, check_options
from jobqueue.queue import Queue
from jobqueue.redis.retry import Pause
from jobqueue.registry import Registry
from jobqueue.settings import Settings

BATCH: Final = 1_000

Item: TypeAlias = tuple[Handler[Any] | str, Any]


@dataclass(frozen=True, slots=True)
class Enqueuer:
    """Encodes jobs and adds them; one for each app."""

    settings: Settings
    registry: Registry
    queue_named: Callable[[str], Queue]
    outcomes: OutcomeSource

    async def enqueue(
        self,
        handler: Handler[Any] | str,
        payload: Any = None,
        options: EnqueueOptions | None = None,
        created_by: str | None = None,
    ) -> Enqueued:
        """Store one job.

        Raises: EnqueueError, before anything is written; RedisUnavailable; RedisReplyError; OutcomeUnknown.
        """
        return await self._add(self.encode(handler, payload, check_options(options or {}), created_by))

    async def enqueue_many(self, items: Iterable[Item], options: EnqueueOptions) -> list[Enqueued]:
        """Store many jobs, one round trip for each batch of 1,000.

        A list or tuple is checked wholly before its first job is written; another iterable batch by batch.
        Raises: as `enqueue`; an EnqueueError says the position.
        """
        asked = check_options(options)
        if asked.job_id is not None:
            raise InvalidOption("job_id", "many jobs cannot share one id; enqueue them one by one")
        results: list[Enqueued] = []
        for batch in _batches(self._encode_each(items, asked), whole=isinstance(items, list | tuple)):
            results += _all_or_raise(await asyncio.gather(*map(self._add, batch), return_exceptions=True), results)
        return results

    def encode(
        self, handler: Handler[Any] | str, payload: Any, asked: CheckedOptions, created_by: str | None = None
    ) -> NewJob:
        """The job as it would be stored. Raises: UnknownHandler, InvalidPayload, PayloadTooLarge, InvalidOption."""
        known = self._known(handler)
        policy = known.policy
        valid = _validate(known, payload, as_json=isinstance(handler, str))
        lane = _dedupe_key(known, valid)
        envelope = Envelope(None, dedupe_key=lane, created_by=created_by, timeout_ms=asked.timeout_ms)
        now = now_ms()
        return NewJob(
            queue=asked.queue or policy.queue or self.settings.jobs_queue,
            name=known.name,
            data=wire.encode_data(self._encode_payload(known, valid), envelope),
            job_id=asked.job_id,
            timestamp_ms=now,
            delay_ms=_delay_ms(asked, now, policy.first_delay_ms),
            priority=policy.priority if asked.priority is None else asked.priority,
            options=wire.encode_options(
                policy, attempts=asked.attempts or policy.attempts, backoff=asked.backoff or policy.backoff
            ),
            lane=lane,
        )

    def _known(self, handler: object) -> Handler[Any]:
        """The handler as it is registered, where its policy may be a configured one."""
        if isinstance(handler, str):
            return self.registry.get(handler)
        if not isinstance(handler, Handler):
            raise InvalidOption("handler", f"must be a handler or its name, not {handler!r:.100}; see make_job")
        return self.registry.current(cast(Any, handler))

    def _encode_each(self, items: Iterable[Item], asked: CheckedOptions) -> Iterator[NewJob]:
        for position, item in enumerate(items):
            try:
                yield self.encode(*_pair(item), asked)
            except EnqueueError as error:
                raise error.at(position) from None

    def _encode_payload(self, handler: Handler[Any], payload: Any) -> str:
        if handler.payload is None:
            return "null"
        try:
            encoded = encoding.encode_payload(handler.payload, payload, has_secrets=handler.has_secrets)
        except ValueError as error:
            raise InvalidPayload(handler.name, {"payload": f"cannot be stored as JSON: {error}"}) from error
        size, limit = len(encoded.encode()), self.settings.jobs_max_payload_bytes
        if size > limit:
            raise PayloadTooLarge(size, limit)
        return encoded

    async def _add(self, job: NewJob) -> Enqueued:
        """With a job id a lost answer is asked for again, since Redis keeps one; without, that would repeat the job."""
        queue = self.queue_named(job.queue)
        in_doubt, pause = False, Pause()
        try:
            async with asyncio.timeout(self.settings.redis_call_ms / 1000):
                while True:
                    try:
                        added = await queue.add(job)
                        return Enqueued(
                            added.job_id, job.name, job.queue, added.created, added.superseded, self.outcomes
                        )
                    except RedisUnavailable as error:
                        in_doubt = in_doubt or isinstance(error, ConnectionLost)
                        if not in_doubt or job.job_id is None:
                            raise
                    await pause.rest()
        except (ConnectionLost, TimeoutError) as error:
            address = queue.client.address
            reason = error.reason if isinstance(error, ConnectionLost) else "no answer in time"
            raise OutcomeUnknown(f"Redis at {address}: {reason}. {OutcomeUnknown.__doc__}") from error


def _pair(item: object) -> Item:
    """Raises: EnqueueError where the item is something else than (handler, payload)."""
    pair: tuple[Any, ...] = cast(Any, item) if isinstance(item, tuple) else ()
    if len(pair) != 2:
        raise EnqueueError(f"must be a pair (handler, payload), not {item!r:.100}")
    return pair


def _all_or_raise(answers: list[Enqueued | BaseException], before: list[Enqueued]) -> list[Enqueued]:
    """Raises: the first error, with a note of how many jobs were stored all the same."""
    stored = [answer for answer in answers if isinstance(answer, Enqueued)]
    for answer in answers:
        if isinstance(answer, BaseException):
            answer.add_note(f"{len(before) + len(stored)} jobs were stored before or beside this one")
            raise answer
    return stored


def _batches(jobs: Iterator[NewJob], *, whole: bool) -> Iterator[list[NewJob]]:
    source = iter(list(jobs)) if whole else jobs
    while batch := list(islice(source, BATCH)):
        yield batch


def _validate(handler: Handler[Any], payload: Any, *, as_json: bool) -> Any:
    """A payload for a handler that is only named may be JSON, which strict types read differently."""
    try:
        return handler.validate(payload)
    except InvalidPayload:
        if not as_json or handler.payload is None or not isinstance(payload, dict | list | str | int | float | bool):
            raise
        return handler.validate_json(payload)


def _dedupe_key(handler: Handler[Any], payload: Any) -> str | None:
    if not isinstance(handler.pattern, Superseding):
        return None
    try:
        return handler.pattern.key_of(payload)
    except ValueError as error:
        raise InvalidPayload(handler.name, {"payload": str(error)}) from error


def _delay_ms(asked: CheckedOptions, now: int, first_delay_ms: int) -> int:
    if asked.delay_ms is not None:
        return asked.delay_ms
    if asked.run_at_ms is None:
        return first_delay_ms
    delay_ms = max(asked.run_at_ms - now, 0)
    if delay_ms > MAX_DELAY_MS:
        raise InvalidOption("run_at", "is more than 50 years away")
    return delay_ms
