"""Worker: starts everything that runs jobs, and stops it in the order that loses nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self

from jobqueue.app import App
from jobqueue.background import Together
from jobqueue.context import Resources
from jobqueue.cron.history import CronHistory
from jobqueue.cron.sync import Sync
from jobqueue.database import Database, open_database
from jobqueue.errors import InvalidOption
from jobqueue.events import Event
from jobqueue.keys import QueueKeys
from jobqueue.outbox import Relay
from jobqueue.worker.cron import CronSync, SchedulerRepair
from jobqueue.worker.cron_runs import StoredRows
from jobqueue.worker.executor import Shared
from jobqueue.worker.presence import present
from jobqueue.worker.process.location import check_importable
from jobqueue.worker.process.pool import Processes
from jobqueue.worker.renewer import Renewer
from jobqueue.worker.reporter import Reporter
from jobqueue.worker.run import Stragglers
from jobqueue.worker.scope import JobLogHandler
from jobqueue.worker.served import ServedQueue
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.signals import caught
from jobqueue.worker.watchdog import Watchdog

_log = logging.getLogger("jobqueue.worker")


class Worker:
    """Runs the jobs of one or many queues on the running event loop.

    Concurrency: WORKER_CONCURRENCY jobs at once for each queue. Redis may be away at any time: the worker waits.
    Raises: InvalidOption for a queue's name that cannot be one.
    """

    def __init__(self, app: App, *, queues: Sequence[str] | None = None, name: str | None = None) -> None:
        self.app = app
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self.stragglers = Stragglers()
        self.watchdog = Watchdog()
        self.processes = Processes(app.settings)
        self._queue_names = _checked(queues, app)
        self._reporter = Reporter(app.events)
        self._opened = AsyncExitStack()
        self._served: tuple[ServedQueue, ...] = ()
        self._stop_requested = asyncio.Event()
        self._urged = asyncio.Event()
        self._stopping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open what the handlers need, refuse queues of BullMQ 5, and begin. Waits for Redis as long as it takes.

        What was opened is closed again where this fails or is cancelled; twice is fine.
        Raises: SettingsError from the registry's lifespan; QueueVersionError; InvalidOption for a queue's name;
        DefinitionError for a handler with `run_in="process"` that no other process can import.
        """
        if self._served:
            return
        for handler in self.app.registry:
            if handler.policy.run_in == "process":
                check_importable(handler)
        async with AsyncExitStack() as opened:
            resources = await self._open_resources(opened)
            database = await opened.enter_async_context(open_database(self.app.settings.database_url))
            shared = self._share(resources, database, opened)
            names, presence = self._queue_names, present(self.name, self._queue_names, self.app.settings)
            served = [await ServedQueue.open(self.app, name, presence, shared, opened) for name in names]
            self.watchdog.start()
            opened.callback(self.watchdog.stop)
            beside = Together()
            opened.push_async_callback(beside.stop)
            shared.renewer.start()
            beside.add(partial(asyncio.to_thread, shared.renewer.stop))
            beside.add(self.processes.close)
            for queue in served:
                await queue.start(beside)
            await self._look_after_cron(served, database, beside)
            await self._look_after_the_outbox(database, beside)
            self._served, self._opened = tuple(served), opened.pop_all()
        self.app.events.emit(Event("worker.started", detail=self.name))
        _log.info("worker %s serves %s", self.name, ", ".join(self._queue_names))

    async def run(self) -> None:
        """Start, serve until SIGTERM or SIGINT, and stop. A second signal goes straight to cancelling.

        Concurrency: in the main thread only; the signals have their handlers from before when it returns.
        """
        with caught((signal.SIGTERM, signal.SIGINT), self.request_stop):
            try:
                await self._start_or_be_stopped()
                await self._stop_requested.wait()
            finally:
                await self.stop()

    def request_stop(self) -> None:
        """What a signal does: the first asks to stop, the second to stop at once."""
        if self._stop_requested.is_set():
            self._urged.set()
        self._stop_requested.set()

    async def stop(self) -> None:
        """Stop claiming, let active jobs finish, then signal, then cancel; returns when all is closed. Twice is fine.

        Renewal and the connections end after the jobs: until a job is over its lock must live. What is unfinished
        goes back to the queue at once.
        """
        self._stop_requested.set()
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        self.app.events.emit(Event("worker.stopping", detail=self.name))
        try:
            await Shutdown(self._served, self._urged).run(self.app.settings.worker_shutdown_ms / 1000)
        finally:
            await self._opened.aclose()
        self.app.events.emit(Event("worker.stopped", detail=self.name))
        if self._served:
            _log.info("worker %s has stopped", self.name)

    async def _start_or_be_stopped(self) -> None:
        """Starting waits for Redis as long as it takes, but not past a signal."""
        starting = asyncio.ensure_future(self.start())
        stop_requested = asyncio.ensure_future(self._stop_requested.wait())
        try:
            await asyncio.wait({starting, stop_requested}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
        finally:
            for task in (starting, stop_requested):
                task.cancel()
            await asyncio.gather(starting, stop_requested, return_exceptions=True)

    async def _look_after_cron(self, served: Sequence[ServedQueue], database: Database, beside: Together) -> None:
        """In the background: neither a database that is away nor a table that is missing keeps jobs from running."""
        sync, queues = Sync(self.app, database), [one.queue for one in served]
        repairs = [SchedulerRepair(queue, sync) for queue in queues]
        histories = [CronHistory(self.app, queue, database) for queue in queues]
        await beside.start(CronSync(self.app, database, sync), *repairs, *histories)

    async def _look_after_the_outbox(self, database: Database, beside: Together) -> None:
        """In the background, as cron is. Queues of other services in the same table are served too."""
        await beside.start(Relay(database, self.app.settings, self.app.queue, self.app.queue_names(), self.name))

    async def _open_resources(self, opened: AsyncExitStack) -> Resources:
        lifespan = self.app.registry.lifespan
        if lifespan is None:
            return Resources(self.app)
        return (await opened.enter_async_context(lifespan(self.app.settings))).beside(self.app)

    def _share(self, resources: Resources, database: Database, opened: AsyncExitStack) -> Shared:
        settings, root, job_log = self.app.settings, logging.getLogger(), JobLogHandler()
        root.addHandler(job_log)
        opened.callback(root.removeHandler, job_log)
        renewer = Renewer(self.app.locator, settings.worker_lock_ms)
        registry, enqueuer, flows = self.app.registry, self.app.enqueuer, self.app.flows
        reporter, stragglers, processes = self._reporter, self.stragglers, self.processes
        rows = StoredRows(database)
        return Shared(settings, registry, resources, renewer, reporter, stragglers, enqueuer, flows, processes, rows)


def _checked(queues: Sequence[str] | None, app: App) -> tuple[str, ...]:
    """The queues to serve: those asked for, else those of the registry. Raises: InvalidOption."""
    if queues is not None and not queues:
        raise InvalidOption("queues", "name at least one, or leave it out to serve those of the registry")
    names = app.queue_names() if queues is None else tuple(queues)
    return tuple(QueueKeys(app.settings.jobs_prefix, name).queue for name in names)
