"""Control: what may be done to a job from any process: cancel, retry, promote and remove it, acknowledge its work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, assert_never

from jobqueue import encoding, steering, ties
from jobqueue.errors import (
    InvalidOption,
    JobActive,
    JobFinished,
    JobNotFound,
    JobNotInState,
    MalformedJob,
)
from jobqueue.job import Envelope, Job, JobOptions, Related, State, is_plain_text
from jobqueue.options import check_options
from jobqueue.policy import Policy
from jobqueue.queue import Queue
from jobqueue.registry import Registry
from jobqueue.ties import Ties

MAX_REASON: Final = 1_000
_AT_ONCE: Final = 100
_UNSENDABLE = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")
"""Halves of characters; but bytes that are no UTF-8 are kept as U+DC80 to U+DCFF, and may be in a foreign id."""
NO_REASON: Final = "no reason given"

Cancelling = Literal["cancelled", "cancelling"]
"""`cancelled`: it never runs. `cancelling`: it is active, or its job scheduler's turn, and its worker ends it."""


@dataclass(frozen=True, slots=True)
class Control:
    """Acts on jobs; one for each app. Concurrency: each act is one step in Redis.

    Raises, from every method: JobNotFound; RedisUnavailable and its kin; InvalidOption.
    """

    registry: Registry
    queue_named: Callable[[str | None], Queue]
    queue_names: Callable[[], Sequence[str]]

    async def cancel(
        self, job_id: str, reason: str, queue: str | None = None, *, state: State | None = None
    ) -> Cancelling:
        """Keep a job from running, or stop it: told at once, its task cancelled after the grace; it ends failed with
        `Cancelled: reason`, whatever it returned, and is not retried. With a `state` only where it is in it.

        Raises: JobFinished; JobNotInState where it has left the state.
        """
        check_reason(reason)
        opened = self.queue_named(queue)
        job = await _stored(opened, job_id)
        keep = self._policy(job).keep_failed
        answer = await steering.cancel(opened, job, reason, keep, self._ties(opened, job), state)
        match answer:
            case "cancelled":
                return "cancelled"
            case "marked":
                return "cancelling"
            case "completed" | "failed":
                raise JobFinished(job_id, "unfinished", answer)
            case "missing":
                raise JobNotFound(job_id, opened.name)
            case "elsewhere":
                raise JobNotInState(job_id, str(state), await opened.state(job_id))
            case _:
                assert_never(answer)

    async def cancel_related(
        self, related: tuple[str, str], reason: str, queue: str | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Cancel all unfinished jobs about one object; their ids by queue, without those that end meanwhile."""
        asked = check_options({"related": related}).related
        if asked is None:
            raise InvalidOption("related", "must name an object, such as ('order', '7')")
        check_reason(reason)
        names = self.queue_names() if queue is None else (queue,)
        return {name: await self._cancel_all(name, asked, reason) for name in names}

    async def _cancel_all(self, queue: str, related: Related, reason: str) -> tuple[str, ...]:
        ids = await steering.related_jobs(self.queue_named(queue), related)
        cancelled: list[str] = []
        for start in range(0, len(ids), _AT_ONCE):
            batch = ids[start : start + _AT_ONCE]
            done = await asyncio.gather(*(self._is_cancelled(queue, related, job_id, reason) for job_id in batch))
            cancelled += [job_id for job_id, is_done in zip(batch, done, strict=True) if is_done]
        return tuple(cancelled)

    async def _is_cancelled(self, queue: str, related: Related, job_id: str, reason: str) -> bool:
        """Cancel it; False where it has ended or was removed, and where its id is another object's job since."""
        opened = self.queue_named(queue)
        try:
            job = await _stored(opened, job_id)
            if job.envelope.related == related and job.finished_at_ms is None:
                await self.cancel(job_id, reason, queue)
                return True
            await steering.forget_related(opened, related, job_id, job.enqueued_at_ms)
        except JobNotFound:
            await steering.forget_related(opened, related, job_id, None)
        except JobFinished:
            return False
        return False

    async def retry(self, job_id: str, queue: str | None = None) -> None:
        """Put a failed or cancelled job back to waiting, its attempts counted from the start.

        Raises: JobFinished where it completed; JobActive; JobNotInState where it waits; DuplicateJob.
        """
        opened = self.queue_named(queue)
        job = await _stored(opened, job_id)
        try:
            await steering.retry_by_hand(opened, job, self._ties(opened, job))
        except JobNotInState as error:
            raise _told_apart(error) from None

    async def promote(self, job_id: str, queue: str | None = None) -> None:
        """Let a delayed job run now.

        The next job of a job scheduler runs instead of at its slot, and the one after it at its own.
        Raises: JobFinished; JobActive; JobNotInState where it waits.
        """
        opened = self.queue_named(queue)
        job = await _stored(opened, job_id)
        try:
            await steering.promote(opened, job)
        except JobNotInState as error:
            raise _told_apart(error) from None

    async def remove(self, job_id: str, queue: str | None = None, *, state: State | None = None) -> None:
        """Delete a job with all its children; what it held goes to the next. With a `state` only where it is in it.

        Raises: JobActive, also for a parent of one that is; JobNotInState for the next job of a job scheduler.
        """
        opened = self.queue_named(queue)
        job = await _stored(opened, job_id)
        await steering.remove(opened, job, self._ties(opened, job), state)

    async def mark_done(self, job: Job | str, result: Any = None, queue: str | None = None) -> None:
        """The work of a job that is acknowledged by hand is done: it completes with `result`.

        Raises: JobNotInState where it is not active, or its handler acknowledges by itself; ValueError where the
        result is no JSON.
        """
        await self._acknowledge(job, steering.DONE + encoding.encode_json(result), queue)

    async def requeue(self, job: Job | str, queue: str | None = None) -> None:
        """The work of a job that is acknowledged by hand was not done: it runs again, no attempt used.

        Raises: as `mark_done`.
        """
        await self._acknowledge(job, steering.REQUEUE, queue)

    async def _acknowledge(self, job: Job | str, how: str, queue: str | None) -> None:
        job_id, name = (job.id, queue or job.queue) if isinstance(job, Job) else (job, queue)
        opened = self.queue_named(name)
        stored = await _stored(opened, job_id)
        handler = self.registry.find(stored.name)
        if handler is not None and handler.policy.ack != "manual":
            raise JobNotInState(job_id, "acknowledged by hand", f"of handler {stored.name!r}, which does by itself")
        if not await steering.acknowledge(opened, job_id, how):
            raise JobNotInState(job_id, "active", await opened.state(job_id))

    def _ties(self, queue: Queue, job: Job) -> Ties:
        return ties.of_any_job(queue.keys, job, self.registry.find(job.name))

    def _policy(self, job: Job) -> Policy:
        handler = self.registry.find(job.name)
        return Policy() if handler is None else handler.policy


def _told_apart(error: JobNotInState) -> JobNotInState:
    """An error of its own for a job that has ended and for one that runs."""
    kinds = {"completed": JobFinished, "failed": JobFinished, "active": JobActive}
    return kinds.get(error.actual, JobNotInState)(error.job_id, error.wanted, error.actual)


async def _stored(queue: Queue, job_id: str) -> Job:
    """The job, also one that cannot be read: it may be cancelled and retried like any other.

    Raises: JobNotFound; InvalidOption where it is no id.
    """
    if not _is_id(job_id):
        raise InvalidOption("job_id", f"must be the id of a job, not {job_id!r:.100}")
    try:
        return await queue.job(job_id)
    except MalformedJob:
        return Job(job_id, queue.name, "", Envelope(None), JobOptions({}), 0)


def _is_id(given: object) -> bool:
    """True for any text that Redis can be asked for."""
    return isinstance(given, str) and not _UNSENDABLE.search(given)


def check_reason(reason: object) -> None:
    """Raises: InvalidOption."""
    if not is_plain_text(reason, MAX_REASON) or not reason.strip():
        raise InvalidOption("reason", f"must be one line of 1 to {MAX_REASON} characters, not {reason!r:.100}")
