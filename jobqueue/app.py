"""App: settings, registry and connections, created once, opened at the first call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

from jobqueue.bulk import BulkEnqueuer, EnqueuedJobs, Item, OnProgress
from jobqueue.enqueue import Enqueuer
from jobqueue.errors import JobqueueError
from jobqueue.events import Events
from jobqueue.handler import Handler
from jobqueue.job import Enqueued, EnqueueOptions
from jobqueue.keys import QueueKeys
from jobqueue.queue import Queue
from jobqueue.redis.client import Client, PushListener, Timeouts
from jobqueue.redis.locating import locator_for
from jobqueue.registry import Registry, load_registry
from jobqueue.results import Results
from jobqueue.settings import Settings

P = TypeVar("P")


class App:
    """The explicit object that a service creates once.

    Concurrency: belongs to the event loop of its first call. Works as an async context manager, so it can be the
    lifespan of a FastAPI or Starlette service.
    """

    def __init__(self, registry: Registry | None = None, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.load()
        self.registry = (registry or Registry()).configured(self.settings.policy_overrides())
        self.locator = locator_for(self.settings.redis_url, self.settings.jobs_prefix)
        self.events = Events()
        self.client = self.new_client()
        self._queues: dict[str, Queue] = {}
        self._results = Results(self.queue, self.new_client)
        self._enqueuer = Enqueuer(self.settings, self.registry, self.queue, self._results)
        self._bulk = BulkEnqueuer(self._enqueuer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; twice is fine."""
        await self._results.close()
        await self.client.close()

    def queue(self, name: str | None = None) -> Queue:
        """One queue by its name, JOBS_QUEUE by default."""
        name = name or self.settings.jobs_queue
        if name not in self._queues:
            self._queues[name] = Queue(self.client, QueueKeys(self.settings.jobs_prefix, name))
        return self._queues[name]

    def queue_names(self) -> tuple[str, ...]:
        """The queues that the registry's handlers are routed to, JOBS_QUEUE first."""
        routed = (handler.policy.queue or self.settings.jobs_queue for handler in self.registry)
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
        Raises: UnknownHandler, InvalidPayload, PayloadTooLarge, InvalidOption before anything is written;
        RedisUnavailable; OutcomeUnknown where the answer was lost and no `job_id` makes a repeat safe.
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

    @property
    def enqueuer(self) -> Enqueuer:
        return self._enqueuer


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
