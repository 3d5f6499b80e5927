"""Acting: all that a screen may do to queues and jobs. Every act is in the audit log."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias, assert_never

from pydantic import JsonValue

from jobqueue import queue_acts
from jobqueue.app import App
from jobqueue.cleaning import Cleanable, clean
from jobqueue.control import NO_REASON, Cancelling, check_reason
from jobqueue.errors import InvalidOption, JobNotFound
from jobqueue.inspector.again import again
from jobqueue.inspector.audit import Actor
from jobqueue.inspector.auditing import AuditedAct, AuditLog, line
from jobqueue.inspector.bulk_acts import (
    Act,
    ActOn,
    Bulk,
    Deadline,
    act_on_all,
    act_on_ids,
    check_act,
    check_ids,
    next_of_schedulers,
    nobody,
)
from jobqueue.inspector.outcomes import came_of, shown_filter
from jobqueue.inspector.reading import Reader
from jobqueue.inspector.searching import Search, search
from jobqueue.inspector.views import EVERYTHING, JobFilter
from jobqueue.job import MAX_ID_LENGTH, Enqueued, EnqueueOptions, State

HasQueue: TypeAlias = Callable[[str], Awaitable[bool]]
"""Whether there is a queue of that name."""


class Operator:
    """Acts on queues and jobs in somebody's name.

    Concurrency: an act is noted before it is made and its end after it; an act that is cut short stays noted as not
    finished. An act on one job is one step in Redis.
    Raises, from every method: RedisUnavailable and its kin, also where the act cannot be noted and so is not made;
    QueueVersionError for a queue that holds BullMQ 5 data, which is not touched; InvalidOption for a queue's name that
    cannot be one, and from acts on a queue for one that does not exist.
    """

    def __init__(self, app: App, reader: Reader, has_queue: HasQueue, actor: Actor) -> None:
        self._app = app
        self._reader = reader
        self._has_queue = has_queue
        self._actor = actor
        self._log = AuditLog(app)

    def audited(
        self, action: str, queue: str, target: str | None = None, details: Mapping[str, JsonValue] | None = None
    ) -> AbstractAsyncContextManager[AuditedAct]:
        """An act that is made elsewhere, inside of the block; what is learnt there may be filled in (`act.target`).

        Raises: InvalidOption; RedisError where the act cannot be noted; what the block raises.
        """
        return self._log.noted(self._actor, AuditedAct(action, queue, target, details or {}))

    # One job

    async def retry(self, queue: str, job_id: str) -> None:
        """Put a failed or cancelled job back to waiting, its attempts counted from the start.

        Raises: JobNotFound; JobFinished where it completed; JobActive; JobNotInState where it waits; DuplicateJob.
        """
        async with self._on_job("retry", queue, job_id):
            await self._app.control.retry(job_id, queue)

    async def cancel(self, queue: str, job_id: str, reason: str = NO_REASON) -> Cancelling:
        """Keep a job from running, or tell its worker to stop it. It ends failed with `Cancelled: reason`.

        Raises: JobNotFound; JobFinished; InvalidOption for a reason that is no line of text.
        """
        async with self._on_job("cancel", queue, job_id, {"reason": reason}):
            return await self._app.control.cancel(job_id, reason, queue)

    async def promote(self, queue: str, job_id: str) -> None:
        """Let a delayed job run now. Raises: JobNotFound; JobFinished; JobActive; JobNotInState."""
        async with self._on_job("promote", queue, job_id):
            await self._app.control.promote(job_id, queue)

    async def remove(self, queue: str, job_id: str, state: State | None = None) -> None:
        """Delete a job with all its children. With a `state` only where it is in it still.

        Raises: JobNotFound; JobActive; JobNotInState, also for a scheduler's next.
        """
        async with self._on_job("remove", queue, job_id):
            await self._app.control.remove(job_id, queue, state=state)

    # Enqueueing

    async def enqueue(self, handler_name: str, payload: Any, options: EnqueueOptions) -> Enqueued:
        """Store a job for a handler. The options name its creator, if anybody is to be; the audit log has who acted.

        It is noted with its queue; where that does not exist yet, with the handler's own one.
        Raises: UnknownHandler, InvalidPayload, PayloadTooLarge, InvalidOption, DuplicateJob; OutcomeUnknown.
        """
        asked = options.get("queue")
        queue = asked if isinstance(asked, str) and asked else self._app.queue_of(handler_name)
        await self._app.queue(queue).check_version()
        noted_in = queue if await self._has_queue(queue) else self._app.queue_of(handler_name)
        details = {"handler": handler_name} if noted_in == queue else {"handler": handler_name, "queue": queue}
        async with self.audited("enqueue", noted_in, details=details) as act:
            enqueued = await self._app.enqueuer.enqueue(handler_name, payload, options)
            act.target = enqueued.job_id
        return enqueued

    async def enqueue_again(self, queue: str, job_id: str, payload: Any, options: EnqueueOptions) -> Enqueued:
        """Store a job like another one, with the payload as it came back from what was shown of that one's.

        What `options` leaves open is as it was: queue, priority, attempts, backoff, time limit, order key, object. Its
        id is a new one, and it runs at once.
        Raises: JobNotFound; JobNotInState for one that cannot be read; InvalidPayload, by field, also for a mask that
        stands for no secret and an edit that would show one; and what `enqueue` raises.
        """
        async with self._on_job("enqueue again", queue, job_id) as act:
            enqueued = await again(self._app, queue, job_id, payload, options, self._creator)
            act.details = {"from": act.target, "handler": enqueued.name, "queue": enqueued.queue}
            act.target = enqueued.job_id
        return enqueued

    # Whole queues

    async def pause(self, queue: str) -> None:
        """No worker begins a job of the queue until it is resumed; those that run go on. Twice is fine."""
        async with self._on_queue("pause", queue):
            await queue_acts.pause(self._app.queue(queue))

    async def resume(self, queue: str) -> None:
        """Workers begin jobs of the queue again. Twice is fine."""
        async with self._on_queue("resume", queue):
            await queue_acts.resume(self._app.queue(queue))

    async def drain(self, queue: str, *, delayed: bool = False) -> Bulk:
        """Remove all jobs that wait to run, with `delayed` those that are delayed, too. None is refused.

        What stays, see `queue_acts.drain`. Where TIME_LIMIT_S is up before all are gone the rest stays, too.
        """
        removing = partial(queue_acts.drain, self._app.queue(queue), delayed=delayed)
        return await self._in_bulk("drain", queue, {"delayed": delayed}, partial(_in_time, removing))

    async def clean(self, queue: str, state: Cleanable, older_than_ms: int, limit: int | None = None) -> Bulk:
        """Remove the jobs of a state that are older than that, at most `limit` of them. None is refused.

        What stays, see `cleaning.clean`. Where TIME_LIMIT_S is up before all are gone the rest stays, too.
        Raises: InvalidOption for a state that cannot be cleaned, and for numbers out of range.
        """
        details: dict[str, JsonValue] = {"state": state, "olderThanMs": older_than_ms, "limit": limit}
        removing = partial(clean, self._app.queue(queue), state, older_than_ms, limit=limit)
        return await self._in_bulk("clean", queue, details, partial(_in_time, removing))

    async def retry_failed(self, queue: str) -> Bulk:
        """Retry all failed jobs; those of which another one runs, where duplicates are refused, are counted as refused.

        Each is a step of its own, so that what they hold (order keys, lanes) is as after each retry by hand.
        """
        return await self._in_bulk("retry failed", queue, {}, partial(self._to_all, queue, "retry", "failed"))

    async def promote_delayed(self, queue: str) -> Bulk:
        """Let all delayed jobs run now, but for the next job of each job scheduler: a cron job keeps its times.

        Source: Node Queue.promoteJobs, which moves those, too, and forgets priorities.
        """
        return await self._in_bulk("promote delayed", queue, {}, partial(self._to_all, queue, "promote", "delayed"))

    # Many jobs

    async def apply(
        self, queue: str, act: Act, job_ids: Sequence[str], reason: str = NO_REASON, *, state: State | None = None
    ) -> Bulk:
        """Do it to each of these jobs, at most MAX_IDS. `reason` is for those that are cancelled.

        With a `state`, as that of the list from which they were picked, a job that is no longer in it is refused.
        Raises: InvalidOption for an act that is none, or that cannot be done to jobs in that state, too many ids or an
        impossible reason, before anything is done.
        """
        check_act(act, state)
        check_reason(reason)
        check_ids(job_ids)
        given: dict[str, JsonValue] = {} if state is None else {"state": state}
        details: dict[str, JsonValue] = {"jobs": len(job_ids), **given, **_why(act, reason)}
        treat = partial(act_on_ids, self._act_on(queue, act, state, reason), job_ids)
        return await self._in_bulk(f"{act} selected", queue, details, treat)

    async def apply_to_all(
        self, queue: str, act: Act, state: State, wanted: JobFilter = EVERYTHING, reason: str = NO_REASON
    ) -> Bulk:
        """Do it to all jobs of a state that match, the newest first; each is acted on once at most.

        A job that has left the state when its turn comes is refused. The next jobs of job schedulers are not promoted.
        Raises: InvalidOption for an act that cannot be done to jobs in that state, before anything is done.
        """
        check_act(act, state)
        check_reason(reason)
        details: dict[str, JsonValue] = {"state": state, **shown_filter(wanted), **_why(act, reason)}
        treat = partial(self._to_all, queue, act, state, wanted, reason)
        return await self._in_bulk(f"{act} matching", queue, details, treat)

    # Inside

    async def _in_bulk(
        self, action: str, queue: str, details: Mapping[str, JsonValue], treat: Callable[[], Awaitable[Bulk]]
    ) -> Bulk:
        async with self._on_queue(action, queue, details) as act:
            bulk = await treat()
            act.count, act.details = bulk.done, {**details, **came_of(bulk)}
        return replace(bulk, entry=act.entry)

    async def _to_all(
        self, queue: str, act: Act, state: State, wanted: JobFilter = EVERYTHING, reason: str = NO_REASON
    ) -> Bulk:
        opened = self._app.queue(queue)

        async def look(first: int, most: int) -> Search:
            return await search(self._reader, opened, (state,), wanted, first, most)

        passed_over = partial(next_of_schedulers, opened) if act == "promote" else nobody
        return await act_on_all(self._act_on(queue, act, state, reason), look, passed_over)

    def _act_on(self, queue: str, act: Act, state: State | None, reason: str) -> ActOn:
        """What is done to one job; with a `state` it is decided in the same step that it is in it still."""
        control = self._app.control
        match act:
            case "retry":  # of failed jobs only, in any case
                return partial(control.retry, queue=queue)
            case "cancel":
                return partial(control.cancel, reason=reason, queue=queue, state=state)
            case "promote":  # of delayed jobs only
                return partial(control.promote, queue=queue)
            case "remove":
                return partial(control.remove, queue=queue, state=state)
            case _:
                assert_never(act)

    @property
    def _creator(self) -> str:
        return line(self._actor.name)[:MAX_ID_LENGTH]

    @asynccontextmanager
    async def _on_job(
        self, action: str, queue: str, job_id: str, details: Mapping[str, JsonValue] | None = None
    ) -> AsyncGenerator[AuditedAct]:
        """Raises: JobNotFound for a queue that nobody has, which gets no log either."""
        await self._app.queue(queue).check_version()
        if not await self._has_queue(queue):
            raise JobNotFound(job_id, queue)
        async with self.audited(action, queue, job_id, details) as act:
            yield act

    @asynccontextmanager
    async def _on_queue(
        self, action: str, queue: str, details: Mapping[str, JsonValue] | None = None
    ) -> AsyncGenerator[AuditedAct]:
        """Raises: InvalidOption for a queue that nobody has, which gets no log either."""
        await self._app.queue(queue).check_version()
        if not await self._has_queue(queue):
            raise InvalidOption("queue", f"there is no queue {queue!r}")
        async with self.audited(action, queue, details=details) as act:
            yield act


async def _in_time(removing: Callable[..., Awaitable[int]]) -> Bulk:
    """What came of removing jobs batch by batch until the time is up."""
    deadline = Deadline()
    removed = await removing(goes_on=deadline.goes_on)
    return Bulk(removed, 0, {}, deadline.was_met)


def _why(act: Act, reason: str) -> dict[str, JsonValue]:
    return {"reason": reason} if act == "cancel" else {}
