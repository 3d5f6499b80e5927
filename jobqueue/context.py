"""Context: what a handler is handed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, Unpack, cast, overload

from pydantic import JsonValue

from jobqueue.children import ChildOptions, Children
from jobqueue.errors import JobCancelled
from jobqueue.handler import Handler
from jobqueue.job import Enqueued, EnqueueOptions, Job

P = TypeVar("P")
R = TypeVar("R")

AbortCause = Literal["timeout", "superseded", "lock_lost", "shutdown", "cancelled"]


class Resources:
    """What the lifespan of a registry opened, found by its type: `ctx.resources[Database]`; and the worker's App."""

    def __init__(self, *opened: object, named: Mapping[type[Any], object] | None = None) -> None:
        self._by_type: dict[type[Any], object] = {type(one): one for one in opened} | dict(named or {})

    def beside(self, one: object) -> Resources:
        """These and one more; one of that type which is there already stays."""
        return Resources(named={type(one): one} | self._by_type)

    def __getitem__(self, kind: type[R]) -> R:
        """Raises: LookupError, naming what is there."""
        try:
            return cast(R, self._by_type[kind])
        except KeyError:
            there = ", ".join(known.__name__ for known in self._by_type) or "nothing"
            raise LookupError(f"no resource of type {kind.__name__}; the lifespan opened: {there}") from None


@dataclass(frozen=True, slots=True)
class AbortReason:
    """Why a run was told to stop: the cause in one word, and a sentence."""

    cause: AbortCause
    message: str
    by: str | None = None


class AbortSignal:
    """Tells a run to stop. The first reason counts; later ones change nothing."""

    __slots__ = ("_reason", "_woken")

    def __init__(self) -> None:
        self._reason: AbortReason | None = None
        self._woken: asyncio.Event | None = None

    @property
    def aborted(self) -> bool:
        return self._reason is not None

    @property
    def reason(self) -> str | None:
        """The sentence that says why, or None."""
        return self._reason.message if self._reason else None

    @property
    def why(self) -> AbortReason | None:
        return self._reason

    def abort(self, reason: AbortReason) -> bool:
        """Tell the run to stop; False where it was told before. On the event loop only."""
        if self._reason is not None:
            return False
        self._reason = reason
        if self._woken is not None:
            self._woken.set()
        return True

    async def wait(self) -> str:
        """Wait until the run is told to stop; returns why."""
        if self._woken is None:
            self._woken = asyncio.Event()
        if self._reason is None:
            await self._woken.wait()
        return self.reason or ""


@dataclass(frozen=True, slots=True)
class CronContext:
    """What the run of a cron job knows of the row that it comes from, as that was when the try began.

    Raises, where what is asked for could not be read: DatabaseUnavailable; CronJobNotFound where the row is gone;
    UnreadableCronJob where SQL has spoiled it. So a handler that takes up where the last run ended fails its try, and
    does not begin at the beginning.
    """

    _expression: str | None
    _last_completed_at: datetime | None
    _unread: BaseException | None = None

    @property
    def expression(self) -> str:
        """The pattern that the job runs by. That of a slot is known without the row."""
        if self._expression is None:
            raise self._unread or LookupError("the cron job's pattern is not known")
        return self._expression

    @property
    def last_completed_at(self) -> datetime | None:
        """When a run of this cron job completed last, by Redis's clock and in UTC; None where none has yet.

        It follows the events of the queue, so of a run that has ended within the last second nothing may be known.
        """
        if self._unread is not None:
            raise self._unread
        return self._last_completed_at

    @property
    def parts(self) -> tuple[str | None, datetime | None, BaseException | None]:
        """Pattern, moment, and why nothing more is known: what another process makes its like from."""
        return self._expression, self._last_completed_at, self._unread


class Family(Protocol):
    """Whoever knows the children of a running job: adds one, tells of those that have ended, removes the others."""

    async def add_child(
        self, parent: Job, handler: Handler[Any] | str, payload: Any, options: ChildOptions
    ) -> Enqueued: ...

    async def children_of(self, job: Job) -> Children: ...

    async def remove_pending_children(self, job: Job) -> None: ...


EnqueueFunction: TypeAlias = Callable[[Handler[Any] | str, Any, EnqueueOptions, str], Awaitable[Enqueued]]


@dataclass(slots=True, eq=False)
class JobContext:
    """What a handler is handed: its job, the signal that tells it to stop, and ways to report.

    `fence` is a number that grows with every acquisition of a singleton's lock, for resources that can refuse an
    older one; None for other handlers. `cron` tells of the cron job that this is a run of, None for any other job.
    """

    job: Job
    signal: AbortSignal
    resources: Resources
    worker_name: str
    fence: int | None
    _log: Callable[[str], None]
    _progress: Callable[[Any], None]
    _enqueue: EnqueueFunction
    _family: Family | None = None
    cron: CronContext | None = None

    def raise_if_cancelled(self) -> None:
        """Raises: JobCancelled once the run has been told to stop."""
        if self.signal.aborted:
            raise JobCancelled(self.signal.reason)

    def log(self, message: str) -> None:
        """Add a line to the job's log.

        Not awaited: lines are sent in order and are never lost before the end of the try. From any thread. Those of a
        run that has lost its job are dropped.
        """
        self._log(message)

    def progress(self, value: Any) -> None:
        """Report progress, any JSON value; sent like a log line.

        Raises: ValueError where the value is not JSON, or longer than a million characters of it.
        """
        self._progress(value)

    @overload
    async def enqueue_job(
        self, handler: Handler[None], payload: None = None, **options: Unpack[EnqueueOptions]
    ) -> Enqueued: ...
    @overload
    async def enqueue_job(self, handler: Handler[P], payload: P, **options: Unpack[EnqueueOptions]) -> Enqueued: ...
    @overload
    async def enqueue_job(self, handler: str, payload: Any = None, **options: Unpack[EnqueueOptions]) -> Enqueued: ...
    async def enqueue_job(
        self, handler: Handler[Any] | str, payload: Any = None, **options: Unpack[EnqueueOptions]
    ) -> Enqueued:
        """Enqueue a job that records this one as its creator.

        Raises: as `jobqueue.enqueue_job`; LockLost where this job is another run's by now: it enqueues what is wanted.
        """
        return await self._enqueue(handler, payload, options, self.job.id)

    @overload
    async def enqueue_child(
        self, handler: Handler[None], payload: None = None, **options: Unpack[ChildOptions]
    ) -> Enqueued: ...
    @overload
    async def enqueue_child(self, handler: Handler[P], payload: P, **options: Unpack[ChildOptions]) -> Enqueued: ...
    @overload
    async def enqueue_child(self, handler: str, payload: Any = None, **options: Unpack[ChildOptions]) -> Enqueued: ...
    async def enqueue_child(
        self, handler: Handler[Any] | str, payload: Any = None, **options: Unpack[ChildOptions]
    ) -> Enqueued:
        """Enqueue a job that this one waits for: raise WaitForChildren, and it runs again when its children have ended.

        A job may be run more than once; give the child a `job_id`, and the second time it is the one that exists
        (`created` is False). A job that returns while a child is still to run fails.
        Raises: as `jobqueue.enqueue_job`, whose options these are, beside `on_failure` (see `jobqueue.flow`);
        JobNotFound and JobNotInState where this job is over meanwhile; LockLost where it is another run's by now.
        """
        return await self._known_family().add_child(self.job, handler, payload, options)

    async def children(self) -> Children:
        """The children of this job that have ended, in the order in which they were added.

        Those that completed, with what they returned, and those whose failure was ignored, with its reason.
        Raises: RedisUnavailable; RedisReplyError.
        """
        return await self._known_family().children_of(self.job)

    async def children_results(self) -> list[JsonValue]:
        """What the completed ones among `children` returned."""
        return (await self.children()).results

    async def remove_pending_children(self) -> None:
        """Remove the children of this job that have not ended and do not run now, with their children.

        So a job may return that goes on after a failure ("continue_parent") and needs the others no more.
        Raises: RedisUnavailable; RedisReplyError; LockLost where this job is another run's by now.
        """
        await self._known_family().remove_pending_children(self.job)

    def _known_family(self) -> Family:
        if self._family is None:
            raise RuntimeError("this context was made without an app, so it knows no children")
        return self._family
