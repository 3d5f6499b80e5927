"""App: settings, registry and connections, created once, opened at the first call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast, overload

from jobqueue.bulk import BulkEnqueuer, EnqueuedJobs, Item, OnProgress
from jobqueue.control import NO_REASON, Cancelling, Control
from jobqueue.enqueue import Enqueuer
from jobqueue.errors import JobqueueError
from jobqueue.events import Events
from jobqueue.flows import EnqueuedFlow, Flow, Flows
from jobqueue.handler import Handler
from jobqueue.job import Enqueued, EnqueueOptions, Job
from jobqueue.keys import QueueKeys
from jobqueue.queue import Queue
from jobqueue.redis.client import Client, PushListener, Timeouts
from jobqueue.redis.locating import locator_for
from jobqueue.registry import Registry, load_registry
from jobqueue.results import Results
from jobqueue.settings import Settings
from jobqueue.stream import EventStreams
from jobqueue.subscriptions import BUFFERED, Subscription, Subscriptions
from jobqueue.tracing import Tracing

if TYPE_CHECKING:
    from jobqueue.outbox import Outbox

P = TypeVar("P")


class App:
    """The explicit object that a service creates once.

    Concurrency: belongs to the event loop of its first call. Works as an async context manager, so it can be the
    lifespan of a FastAPI or Starlette service.
    """

    def __init__(
        self, registry: Registry | None = None, settings: Settings | None = None, *, events: Events | None = None
    ) -> None:
        self.settings = settings or Settings.load()
        self.registry = (Registry() if registry is None else registry).configured(self.settings.policy_overrides())
        self.locator = locator_for(self.settings.redis_url, self.settings.jobs_prefix)
        self.events = events or Events()
        self.client = self.new_client()
        self._queues: dict[str, Queue] = {}
        self.streams = EventStreams(self.queue, self.new_client)
        self._results = Results(self.queue, self.streams)
        self._subscriptions = Subscriptions(self.queue, self.registry, self.streams)
        self._outbox: Outbox | None = None
        self._enqueuer = Enqueuer(
            self.settings, self.registry, self.queue, self._results, self._opened_outbox, self.events
        )
        self._bulk = BulkEnqueuer(self._enqueuer)
        self.control = Control(self.registry, self.queue, self.queue_names)
        self.flows = Flows(self._enqueuer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; twice is fine."""
        await self.streams.close()
        if self._outbox is not None:
            await self._outbox.close()
        await self.client.close()

    def _opened_outbox(self) -> Outbox:
        """Imported when it is first used: a service that has none has no need of SQLAlchemy."""
        if self._outbox is None:
            make = cast("type[Outbox]", import_module("jobqueue.outbox").Outbox)
            self._outbox = make(self.settings, self.queue)
        return self._outbox

    def queue(self, name: str | None = None) -> Queue:
        """One queue by its name, JOBS_QUEUE by default."""
        name = name or self.settings.jobs_queue
        if name not in self._queues:
            self._queues[name] = Queue(self.client, QueueKeys(self.settings.jobs_prefix, name))
        return self._queues[name]

    def queue_of(self, handler: Handler[Any] | str | None) -> str:
        """The name of the queue of a handler's jobs, that of JOBS_QUEUE for one that is not known."""
        known = self.registry.find(handler) if isinstance(handler, str) else handler
        return (known.policy.queue if known is not None else None) or self.settings.jobs_queue

    def queue_names(self) -> tuple[str, ...]:
        """The queues that the registry's handlers are routed to, JOBS_QUEUE first."""
        routed = map(self.queue_of, self.registry)
        return tuple(dict.fromkeys((self.settings.jobs_queue, *routed)))

    def new_client(self, name: str | None = None, on_push: PushListener | None = None) -> Client:
        """A connection of its own, opened at its first call."""
        connect_s, call_s = self.settings.redis_connect_ms / 1000, self.settings.redis_call_ms / 1000
        return Client(self.locator, name=name, timeouts=Timeouts(connect_s, call_s), on_push=on_push)

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
        """Store a job for a handler, given by handle or by name.

        Units: `delay_ms` and `timeout_ms` milliseconds; `run_at` a datetime with a zone; `priority` 0 (none, first)
        to 2,097,151, lower first; `attempts` all tries.
        With `session` it is written in that transaction, and goes on to Redis when that has committed. A queue that has
        JOBS_MAX_QUEUE_DEPTH jobs takes no more where DATABASE_URL is set: they wait in the database, but for those with
        `bypass_outbox`.
        Raises: UnknownHandler, InvalidPayload, PayloadTooLarge, InvalidOption before anything is written;
        RedisUnavailable; OutcomeUnknown where the answer was lost and no `job_id` makes a repeat safe;
        DatabaseUnavailable for a job that goes to the database.
        """
        return await self._enqueuer.enqueue(handler, payload, options)

    async def enqueue_jobs(
        self, items: Iterable[Item], *, on_progress: OnProgress | None = None, **options: Unpack[EnqueueOptions]
    ) -> EnqueuedJobs:
        """Store many jobs, one round trip for each thousand; a generator's are never all in memory.

        `on_progress` is told how many are stored so far, after each thousand.
        Raises: as `enqueue_job`; an error of one job says its position, a note how many jobs were stored.
        """
        return await self._bulk.enqueue(items, options, on_progress)

    async def enqueue_flow(self, root: Flow) -> EnqueuedFlow:
        """Store a tree of jobs made by `flow`, in one step: all of them or, where one cannot be stored, none.

        Each job waits until its children have ended. Where the root has a `job_id` the children without one get ids
        that follow from it, so that the same flow can be enqueued again and is stored once.
        Raises: as `enqueue_job`, before anything is written, saying which job of the tree; OutcomeUnknown where no
        answer came in time.
        """
        return await self.flows.enqueue(root)

    async def cancel_job(self, job_id: str, reason: str = NO_REASON, *, queue: str | None = None) -> Cancelling:
        """Keep a job from running, or stop it; from any process. It ends failed with `Cancelled: reason`.

        Returns `cancelled` where it had not started, `cancelling` where its worker was told.
        Raises: JobNotFound; JobFinished; InvalidOption; RedisUnavailable.
        """
        return await self.control.cancel(job_id, reason, queue)

    async def cancel_jobs(
        self, *, related: tuple[str, str], reason: str = NO_REASON, queue: str | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Cancel all unfinished jobs about one object, in all queues of the registry or in one; their ids by queue."""
        return await self.control.cancel_related(related, reason, queue)

    async def retry_job(self, job_id: str, *, queue: str | None = None) -> None:
        """Run a failed or cancelled job again, its attempts counted from the start.

        Raises: JobNotFound; JobFinished where it completed; JobActive; JobNotInState where it waits; DuplicateJob.
        """
        await self.control.retry(job_id, queue)

    async def mark_done(self, job: Job | str, result: Any = None, *, queue: str | None = None) -> None:
        """Complete a job whose handler has `ack="manual"`, from any process. Raises: JobNotFound; JobNotInState."""
        await self.control.mark_done(job, result, queue)

    async def requeue(self, job: Job | str, *, queue: str | None = None) -> None:
        """Run a job whose handler has `ack="manual"` again, no attempt used. Raises: JobNotFound; JobNotInState."""
        await self.control.requeue(job, queue)

    def subscribe(
        self,
        *,
        job_id: str | None = None,
        handler: Handler[Any] | str | None = None,
        related: tuple[str, str] | None = None,
        queue: str | None = None,
        buffer: int = BUFFERED,
    ) -> Subscription:
        """The outcome of every try of one job, of one handler's jobs, or of the jobs about one object, as it happens.

        `async with app.subscribe(…) as outcomes: async for outcome in outcomes: …`; what ends once the block was
        entered is delivered. The queue is the handler's, else JOBS_QUEUE. `buffer` is how many outcomes may wait for a
        slow reader before he is told OutcomesMissed. Raises: InvalidOption, UnknownHandler; ClientClosed.
        """
        return self._subscriptions.subscribe(
            job_id=job_id, handler=handler, related=related, queue=queue, buffer=buffer
        )

    @property
    def enqueuer(self) -> Enqueuer:
        return self._enqueuer

    @property
    def tracing(self) -> Tracing | None:
        """Who draws spans around what this app enqueues and what its worker runs; what it raises is logged, and costs a
        span but no job. See `jobqueue.otel.instrument`.
        """
        guarded = self.events.tracing
        return None if guarded is None else guarded.tracing

    @tracing.setter
    def tracing(self, tracing: Tracing | None) -> None:
        self.events.trace_with(tracing)


@dataclass(slots=True)
class _Default:
    """The app behind the module-level functions, and the loop that it opened on. `given` where a service set it."""

    app: App | None = None
    loop: asyncio.AbstractEventLoop | None = None
    given: bool = False


_default = _Default()


def set_default_app(app: App | None) -> None:
    """Make `app` the one that the module-level functions use; None goes back to one made from the environment."""
    _default.app, _default.loop, _default.given = app, None, app is not None


@contextmanager
def default_app_set(app: App) -> Generator[None]:
    """`app` as the one of the module-level functions; afterwards it is the one that was."""
    before = replace(_default)
    set_default_app(app)
    try:
        yield
    finally:
        _default.app, _default.loop, _default.given = before.app, before.loop, before.given


def default_app() -> App:
    """The app of the module-level functions, made from the environment at the first call on the running loop.

    Raises: SettingsError; JobqueueError where the app belongs to another loop that still runs, or was given.
    """
    loop = asyncio.get_running_loop()
    if _default.loop is not None and _default.loop.is_closed() and not _default.given:
        _default.app = None
    if _default.app is None:
        settings = Settings.load()
        _default.app, _default.loop = App(load_registry(settings.jobs_registry), settings), loop
    if _default.loop is None:
        _default.loop = loop
    if _default.loop is not loop:
        raise JobqueueError("the default app belongs to another event loop; create an App for this one")
    return _default.app


async def close_default_app() -> None:
    """Close the connections of the module-level functions; the next call opens them again."""
    app = _default.app
    set_default_app(None)
    if app is not None:
        await app.close()


@asynccontextmanager
async def default_app_open() -> AsyncGenerator[App]:
    """The default app for the length of the block. It is closed then, unless somebody has set it, whose it is.

    Raises: as `default_app`.
    """
    is_of_somebody = _default.given
    app = default_app()
    try:
        yield app
    finally:
        if not is_of_somebody:
            await close_default_app()


@overload
async def enqueue_job(handler: Handler[None], payload: None = None, **options: Unpack[EnqueueOptions]) -> Enqueued: ...
@overload
async def enqueue_job(handler: Handler[P], payload: P, **options: Unpack[EnqueueOptions]) -> Enqueued: ...
@overload
async def enqueue_job(handler: str, payload: Any = None, **options: Unpack[EnqueueOptions]) -> Enqueued: ...
async def enqueue_job(handler: Handler[Any] | str, payload: Any = None, **options: Unpack[EnqueueOptions]) -> Enqueued:
    """`App.enqueue_job` of the default app."""
    return await default_app().enqueuer.enqueue(handler, payload, options)


async def enqueue_jobs(
    items: Iterable[Item], *, on_progress: OnProgress | None = None, **options: Unpack[EnqueueOptions]
) -> EnqueuedJobs:
    """`App.enqueue_jobs` of the default app."""
    return await default_app().enqueue_jobs(items, on_progress=on_progress, **options)


async def enqueue_flow(root: Flow) -> EnqueuedFlow:
    """`App.enqueue_flow` of the default app."""
    return await default_app().enqueue_flow(root)


async def cancel_job(job_id: str, reason: str = NO_REASON, *, queue: str | None = None) -> Cancelling:
    """`App.cancel_job` of the default app."""
    return await default_app().cancel_job(job_id, reason, queue=queue)


async def cancel_jobs(
    *, related: tuple[str, str], reason: str = NO_REASON, queue: str | None = None
) -> dict[str, tuple[str, ...]]:
    """`App.cancel_jobs` of the default app."""
    return await default_app().cancel_jobs(related=related, reason=reason, queue=queue)


async def retry_job(job_id: str, *, queue: str | None = None) -> None:
    """`App.retry_job` of the default app."""
    await default_app().retry_job(job_id, queue=queue)


async def mark_done(job: Job | str, result: Any = None, *, queue: str | None = None) -> None:
    """`App.mark_done` of the default app."""
    await default_app().mark_done(job, result, queue=queue)


async def requeue(job: Job | str, *, queue: str | None = None) -> None:
    """`App.requeue` of the default app."""
    await default_app().requeue(job, queue=queue)


def subscribe(
    *,
    job_id: str | None = None,
    handler: Handler[Any] | str | None = None,
    related: tuple[str, str] | None = None,
    queue: str | None = None,
    buffer: int = BUFFERED,
) -> Subscription:
    """`App.subscribe` of the default app."""
    return default_app().subscribe(job_id=job_id, handler=handler, related=related, queue=queue, buffer=buffer)
