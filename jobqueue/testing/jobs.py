"""Jobs: the kit of one test: an App on a private Redis, what was enqueued, a worker on demand, a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from jobqueue.app import App
from jobqueue.clock import told_by
from jobqueue.context import Resources
from jobqueue.database import Database
from jobqueue.errors import SettingsError, UnknownHandler
from jobqueue.handler import Handler
from jobqueue.registry import Registry, load_registry
from jobqueue.settings import Settings
from jobqueue.testing.background import follow_cron, move_rows
from jobqueue.testing.clock import HandClock
from jobqueue.testing.draining import Draining, raise_failure
from jobqueue.testing.errors import KitError
from jobqueue.testing.matching import UNSAID, Unsaid, Wanted, differences, wanted_payload
from jobqueue.testing.opening import Asked, Opened, one_at_a_time, open_apps
from jobqueue.testing.reading import jobs_of, queues_of
from jobqueue.testing.records import Drained, EnqueuedJob, JobRun
from jobqueue.testing.telling import found, not_found
from jobqueue.worker.scope import current_scope

P = TypeVar("P")

DRAIN_S: Final = 10.0
"""How long a drain may take, if the test does not say."""


class Jobs:
    """A service's jobs in one test: `async with Jobs(registry) as jobs`, or the fixture `jobs`.

    Inside the block everything is real but the time: the module-level `enqueue_job` and its like store jobs in Redis
    under a prefix of this test's own, and nothing runs them until `drain` starts a worker. REDIS_URL and JOBS_PREFIX of
    the environment say the same, for an App that the service makes itself.

    `redis_url` is a server for tests; without one a private server is started, and ends with the block. `settings` are
    changes by field name, such as `{"database_url": …}`; without that one an SQLite file of this test has the tables of
    cron jobs and the outbox. `resources` is handed to handlers in place of what the registry's lifespan opens.
    Concurrency: on one event loop; one at a time in a process, since the default App, the environment and the time are
    the process's. Raises: KitError for a registry that cannot be loaded, a setting that there is not, or inside another
    such block; SettingsError; EmbeddedRedisMissing.
    """

    def __init__(
        self,
        registry: Registry | str,
        *,
        redis_url: str | None = None,
        settings: Mapping[str, object] | None = None,
        resources: Resources | None = None,
    ) -> None:
        self.clock = HandClock()
        self._registry = _load(registry) if isinstance(registry, str) else registry
        self._redis_url = redis_url
        self._changes = dict(settings or {})
        self._resources = resources
        self._opened = AsyncExitStack()
        self._open: Opened | None = None
        self._is_draining = False
        self._ended: list[JobRun] = []

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            opened.enter_context(one_at_a_time())
            opened.enter_context(told_by(self.clock.now_ms))
            what = Asked(self._registry, self._redis_url, self._changes, self._resources)
            self._open = await opened.enter_async_context(open_apps(what))
            await self._follow_seeds()
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()
        self._open = None

    @property
    def app(self) -> App:
        """The App that the module-level functions use in this test."""
        return self._here.given

    @property
    def settings(self) -> Settings:
        return self._here.own.settings

    @property
    def database(self) -> Database:
        """The database of the test: of its cron jobs and its outbox."""
        return self._here.database

    # What is enqueued

    async def enqueued(self, handler: Handler[Any] | str | None = None) -> tuple[EnqueuedJob, ...]:
        """The jobs that have not ended, of one handler or all, the oldest first.

        Rows of the outbox whose transaction has committed are moved to Redis before, as a worker would do it at once.
        Raises: UnknownHandler for a name that neither a handler nor a job has; KitError.
        """
        own = self._here.own
        await move_rows(own, self._here.database)
        jobs = [job for name in await queues_of(own) for job in await jobs_of(own.queue(name))]
        if handler is None:
            return tuple(jobs)
        name = self._name_of(handler, jobs)
        return tuple(job for job in jobs if job.name == name)

    async def assert_enqueued(
        self,
        handler: Handler[P] | str,
        payload: P | Mapping[str, object] | Unsaid = UNSAID,
        *,
        queue: str | None = None,
        delay_ms: int | None = None,
        run_at: datetime | None = None,
        count: int | None = None,
    ) -> EnqueuedJob:
        """Fail unless such a job is enqueued and has not ended; with `count`, unless there are exactly so many.

        A mapping as payload is a part: fields that it does not name may be anything, in objects inside it too, and its
        values are compared as JSON. Any other payload is the whole one. `run_at` is when the job may start. Returns the
        oldest one that matches.
        Raises: AssertionError, which names what is enqueued instead; InvalidPayload for a whole one that the handler
        does not take; UnknownHandler; KitError.
        """
        __tracebackhide__ = True
        if count is not None and count < 1:
            raise KitError(f"count: at least 1, not {count}; for none there is assert_not_enqueued")
        jobs = await self.enqueued()
        wanted = self._wanted(handler, payload, jobs, queue, delay_ms, run_at)
        matching = [job for job in jobs if not differences(wanted, job)]
        if not matching or (count is not None and len(matching) != count):
            raise AssertionError(not_found(wanted, count, jobs, self._ended))
        return matching[0]

    async def assert_not_enqueued(
        self,
        handler: Handler[P] | str,
        payload: P | Mapping[str, object] | Unsaid = UNSAID,
        *,
        queue: str | None = None,
        delay_ms: int | None = None,
        run_at: datetime | None = None,
    ) -> None:
        """Fail if such a job is enqueued and has not ended. The arguments and errors are those of `assert_enqueued`."""
        __tracebackhide__ = True
        jobs = await self.enqueued()
        wanted = self._wanted(handler, payload, jobs, queue, delay_ms, run_at)
        matching = [job for job in jobs if not differences(wanted, job)]
        if matching:
            raise AssertionError(found(wanted, matching))

    def _wanted(
        self,
        handler: Handler[Any] | str,
        payload: object,
        jobs: Sequence[EnqueuedJob],
        queue: str | None,
        delay_ms: int | None,
        run_at: datetime | None,
    ) -> Wanted:
        name = self._name_of(handler, jobs)
        wanted = Wanted(name, queue=queue, delay_ms=delay_ms, run_at=run_at)
        if isinstance(payload, Unsaid):
            return wanted
        known = self._registry.find(name) if isinstance(handler, str) else handler
        value, is_part = wanted_payload(known, payload, self._here.own.enqueuer)
        return replace(wanted, payload=value, is_part=is_part)

    def _name_of(self, handler: Handler[Any] | str, jobs: Sequence[EnqueuedJob]) -> str:
        """A handler that is not registered may be enqueued, by a service that does not run it."""
        if isinstance(handler, str):
            if self._registry.find(handler) is None and all(job.name != handler for job in jobs):
                raise UnknownHandler(handler, self._registry.names)
            return handler
        registered = self._registry.find(handler.name)
        if registered is not None and registered.function is not handler.function:
            raise KitError(
                f"the registry of this test has another handler named {handler.name!r}: "
                f"{_place(registered)}, not {_place(handler)}"
            )
        return handler.name

    # Running

    async def drain(self, *, with_failures: bool = False, timeout_s: float = DRAIN_S) -> Drained:
        """Run everything that may run now, and what that enqueues, with a real worker; returns what was run.

        A job that is delayed, in backoff, parked or in a paused queue is not run before its time: move the clock, and
        drain again. If a try has failed, what its handler raised is raised here, when everything has run; not so
        `with_failures`.
        Raises: what the first handler that failed has raised, or JobFailed with the reason; DrainTimeout after
        `timeout_s` seconds, which names what still runs: it is told to stop, and put back; RedisUnavailable; KitError
        inside a job, or another drain; what the registry's lifespan raises.
        """
        here = self._here
        scope = current_scope.get()
        if scope is not None:
            raise KitError(f"drain was called by a job ({scope.handler} {scope.job_id}), which it would wait for")
        if self._is_draining:
            raise KitError("another drain of these jobs has not ended; await that one first")
        self._is_draining = True
        try:
            drained = await Draining(here.own, here.database, self.clock).run(timeout_s)
        finally:
            self._is_draining = False
        self._ended += drained.runs
        if not with_failures:
            raise_failure(drained)
        return drained

    # Opening

    @property
    def _here(self) -> Opened:
        """Raises: KitError."""
        if self._open is None:
            raise KitError("these jobs are not open: use `async with Jobs(…) as jobs`, or the fixture `jobs`")
        if self._open.loop is not asyncio.get_running_loop():
            raise KitError(
                "these jobs were opened on another event loop: give the test and its fixtures the same loop scope, and "
                "call the service on the test's own loop (httpx.ASGITransport, not a TestClient)"
            )
        return self._open

    async def _follow_seeds(self) -> None:
        """What a first worker has done before a service is used: the slots of seeded cron jobs count from here on."""
        if any(handler.seeded_cron is not None for handler in self._registry):
            await follow_cron(self._here.own, self._here.database)


def _load(location: str) -> Registry:
    """Raises: KitError."""
    try:
        return load_registry(location)
    except SettingsError as error:
        raise KitError(f"the registry {location!r} cannot be used: {error.problem}") from error


def _place(handler: Handler[Any]) -> str:
    return f"{handler.function.__module__}.{handler.function.__qualname__}"
