"""Enqueue: from a handler and a payload to a stored job. Everything is checked before anything is written."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeAlias, get_type_hints

from pydantic import ValidationError

from jobqueue import wire
from jobqueue.clock import now_ms
from jobqueue.errors import (
    ConnectionLost,
    InvalidOption,
    InvalidPayload,
    OutcomeUnknown,
    PayloadTooLarge,
)
from jobqueue.handler import Handler, Superseding
from jobqueue.job import MAX_PRIORITY, Backoff, Enqueued, EnqueueOptions, Envelope, NewJob, OutcomeSource
from jobqueue.queue import Queue
from jobqueue.registry import Registry
from jobqueue.settings import Settings

BATCH = 1_000
MAX_DELAY_MS = 100 * 365 * 24 * 60 * 60 * 1000
MAX_ATTEMPTS = 1_000_000

Item: TypeAlias = tuple[Handler[Any] | str, Any]

_INTEGER = re.compile(r"-?\d+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RESERVED_IDS = frozenset(
    {
        *("wait", "active", "paused", "delayed", "prioritized", "completed", "failed", "waiting-children"),
        *(
            "id",
            "pc",
            "meta",
            "events",
            "marker",
            "stalled",
            "stalled-check",
            "limiter",
            "repeat",
            "metrics",
            "job",
        ),
    }
)
_OPTIONS = frozenset(get_type_hints(EnqueueOptions))


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
        """Store one job. Raises: EnqueueError and its kin, before anything is written; RedisUnavailable;
        OutcomeUnknown."""
        return await self._add(self.encode(handler, payload, options or {}, created_by))

    async def enqueue_many(self, items: Iterable[Item], options: EnqueueOptions) -> list[Enqueued]:
        """Store many jobs, one round trip for each batch of 1,000.

        A list or tuple is checked wholly before its first job is written; another iterable batch by batch.
        Raises: as `enqueue`; the message names the position.
        """
        if "job_id" in options:
            raise InvalidOption("job_id", "many jobs cannot share one id; enqueue them one by one")
        results: list[Enqueued] = []
        for batch in _batches(self._encode_each(items, options), whole=isinstance(items, list | tuple)):
            results += await asyncio.gather(*map(self._add, batch))
        return results

    def encode(
        self,
        handler: Handler[Any] | str,
        payload: Any,
        options: EnqueueOptions,
        created_by: str | None = None,
    ) -> NewJob:
        """The job as it would be stored. Raises: UnknownHandler, InvalidPayload, PayloadTooLarge, InvalidOption."""
        known = self.registry.get(handler) if isinstance(handler, str) else self.registry.current(handler)
        checked = _check_options(options)
        policy = known.policy
        valid = _validate(known, payload)
        payload_json = self._encode_payload(known, valid)
        lane = _dedupe_key(known, valid)
        envelope = Envelope(None, dedupe_key=lane, created_by=created_by, timeout_ms=checked.get("timeout_ms"))
        now = now_ms()
        backoff = checked.get("backoff", policy.backoff)
        return NewJob(
            queue=checked.get("queue") or policy.queue or self.settings.jobs_queue,
            name=known.name,
            data=wire.encode_data(payload_json, envelope),
            job_id=checked.get("job_id"),
            timestamp_ms=now,
            delay_ms=_delay_ms(checked, now, policy.first_delay_ms),
            priority=checked.get("priority", policy.priority),
            options=wire.encode_options(policy, attempts=checked.get("attempts", policy.attempts), backoff=backoff),
            lane=lane,
        )

    def _encode_each(self, items: Iterable[Item], options: EnqueueOptions) -> Iterator[NewJob]:
        for position, (handler, payload) in enumerate(items):
            try:
                yield self.encode(handler, payload, options)
            except InvalidPayload as error:
                at = {f"[{position}].{field}": problem for field, problem in error.field_errors.items()}
                raise InvalidPayload(error.handler, at) from error

    def _encode_payload(self, handler: Handler[Any], payload: Any) -> str:
        if handler.payload is None:
            return "null"
        try:
            encoded = wire.encode_payload(handler.payload, payload, has_secrets=handler.has_secrets)
        except ValueError as error:
            raise InvalidPayload(handler.name, {"payload": f"cannot be stored as JSON: {error}"}) from error
        size, limit = len(encoded.encode()), self.settings.jobs_max_payload_bytes
        if size > limit:
            raise PayloadTooLarge(size, limit)
        return encoded

    async def _add(self, job: NewJob) -> Enqueued:
        """With a job id a lost answer is asked for again, since Redis keeps one; without, that would repeat the job."""
        queue = self.queue_named(job.queue)
        deadline_s = time.monotonic() + self.settings.redis_call_ms / 1000
        while True:
            try:
                added = await queue.add(job)
            except ConnectionLost as error:
                if job.job_id is None:
                    raise OutcomeUnknown(
                        f"{error}; the job may have been stored. Give it a job_id to make this safe to repeat"
                    ) from error
                if time.monotonic() > deadline_s:
                    raise
                continue
            return Enqueued(added.job_id, job.name, job.queue, added.created, added.superseded, self.outcomes)


def _batches(jobs: Iterator[NewJob], *, whole: bool) -> Iterator[list[NewJob]]:
    source = iter(list(jobs)) if whole else jobs
    while batch := list(islice(source, BATCH)):
        yield batch


# Checks


def _validate(handler: Handler[Any], payload: Any) -> Any:
    if handler.payload is None:
        if payload is not None:
            raise InvalidPayload(handler.name, {"payload": f"this handler takes none, but got {payload!r:.100}"})
        return None
    try:
        return handler.payload.validate_python(payload)
    except ValidationError as error:
        raise InvalidPayload(handler.name, field_errors(error)) from error


def field_errors(error: ValidationError) -> dict[str, str]:
    """What is wrong, by dotted path: {"payload.resource_id": "Field required"}."""
    return {
        ".".join(["payload", *map(str, one["loc"])]): one["msg"]
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    }


def _dedupe_key(handler: Handler[Any], payload: Any) -> str | None:
    if not isinstance(handler.pattern, Superseding):
        return None
    try:
        key = handler.pattern.dedupe_key(payload)
    except Exception as error:
        raise InvalidPayload(handler.name, {"payload": f"its dedupe_key raised {error!r}"}) from error
    if not isinstance(key, str) or not 1 <= len(key) <= 1_000:
        raise InvalidPayload(
            handler.name,
            {"payload": f"its dedupe_key must give a text of 1 to 1000 characters, not {key!r:.100}"},
        )
    return key


def _check_options(options: Mapping[str, Any]) -> EnqueueOptions:
    """Raises: InvalidOption, naming the option and what would be right."""
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise InvalidOption(unknown[0], f"is not an option; known are {', '.join(sorted(_OPTIONS))}")
    if options.get("delay_ms") is not None and options.get("run_at") is not None:
        raise InvalidOption("run_at", "give delay_ms or run_at, not both")
    for name, least, most in (
        ("delay_ms", 0, MAX_DELAY_MS),
        ("priority", 0, MAX_PRIORITY),
        ("attempts", 1, MAX_ATTEMPTS),
        ("timeout_ms", 1, MAX_DELAY_MS),
    ):
        _check_number(name, options.get(name), least, most)
    checked = EnqueueOptions(**{name: value for name, value in options.items() if value is not None})
    if "backoff" in checked:
        checked["backoff"] = _check_backoff(checked["backoff"])
    if "job_id" in checked:
        _check_job_id(checked["job_id"])
    if "queue" in checked:
        _check_queue(checked["queue"])
    return checked


def _check_number(name: str, value: Any, least: int, most: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidOption(name, f"must be a whole number from {least} to {most}, not {value!r}")


def _check_backoff(value: Any) -> Backoff:
    if isinstance(value, Backoff):
        return value
    _check_number("backoff", value, 0, MAX_DELAY_MS)
    return Backoff("fixed", value)


def _check_job_id(value: Any) -> None:
    """Source: Node Job.validateOptions; and ids that are keys of the queue itself, which Node lets through."""
    if not isinstance(value, str) or not 1 <= len(value) <= 255 or _CONTROL.search(value):
        raise InvalidOption(
            "job_id", f"must be a text of 1 to 255 characters without control characters, not {value!r}"
        )
    if ":" in value:
        raise InvalidOption("job_id", f"must not contain ':', as {value!r} does")
    if _INTEGER.fullmatch(value):
        raise InvalidOption("job_id", f"must not be an integer, as {value!r} is: those are BullMQ's own ids")
    if value in _RESERVED_IDS:
        raise InvalidOption("job_id", f"{value!r} is the name of one of the queue's own keys")


def _check_queue(value: Any) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= 200 or ":" in value or _CONTROL.search(value):
        raise InvalidOption("queue", f"must be a text of 1 to 200 characters without ':', not {value!r:.100}")


def _delay_ms(options: EnqueueOptions, now: int, first_delay_ms: int) -> int:
    if "delay_ms" in options:
        return options["delay_ms"]
    if "run_at" not in options:
        return first_delay_ms
    run_at = options["run_at"]
    if not isinstance(run_at, datetime) or run_at.tzinfo is None:
        raise InvalidOption("run_at", f"must be a datetime with a time zone, not {run_at!r}")
    delay_ms = int(run_at.astimezone(UTC).timestamp() * 1000) - now
    _check_number("run_at", max(delay_ms, 0), 0, MAX_DELAY_MS)
    return max(delay_ms, 0)
