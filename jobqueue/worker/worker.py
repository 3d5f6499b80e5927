"""Worker: starts everything that runs jobs, and stops it in the order that loses nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from jobqueue.app import App
from jobqueue.context import AbortReason, Resources
from jobqueue.events import Event
from jobqueue.handler import Superseding
from jobqueue.keys import QueueKeys
from jobqueue.policy import Policy
from jobqueue.queue import Claimant, Queue
from jobqueue.redis.retry import until_answered
from jobqueue.worker.checks import Periodic, StalledCheck, VersionCheck
from jobqueue.worker.executor import Executor, Shared
from jobqueue.worker.fetcher import Fetcher
from jobqueue.worker.renewer import Renewer
from jobqueue.worker.reporter import Reporter
from jobqueue.worker.run import Stragglers
from jobqueue.worker.scope import JobLogHandler
from jobqueue.worker.superseding import SupersedeWatch
from jobqueue.worker.watchdog import Watchdog

_log = logging.getLogger("jobqueue.worker")

_CANCEL_S = 0.3
_RECORD_S = 0.7


class Worker:
    """Runs the jobs of one or many queues on the running event loop.

    Concurrency: WORKER_CONCURRENCY jobs at once for each queue. Redis may be away at any time: the worker waits.
    """

    def __init__(self, app: App, *, queues: Sequence[str] | None = None, name: str | None = None) -> None:
        self.app = app
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self.stragglers = Stragglers()
        self.watchdog = Watchdog()
        self._id = uuid4().hex
        self._queue_names = tuple(queues) if queues else app.queue_names()
        self._reporter = Reporter(app.events)
        self._renewer = Renewer(app.settings.redis_url, app.settings.worker_lock_ms)
        self._job_log = JobLogHandler()
        self._lines: list[Line] = []
        self._opened = AsyncExitStack()
        self._stop_requested = asyncio.Event()
        self._cancel_requested = asyncio.Event()
        self._started = False
        self._stopped: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Open what the handlers need, refuse queues of BullMQ 5, and begin. Waits for Redis as long as it takes.

        Raises: SettingsError from the registry's lifespan; QueueVersionError.
        """
        if self._started:
            return
        self._started = True
        resources = await self._open_resources()
        lines = [await self._open_line(name, resources) for name in self._queue_names]
        logging.getLogger().addHandler(self._job_log)
        self._renewer.start()
        self.watchdog.start()
        self._lines = lines
        for line in lines:
            await line.start()
        self.app.events.emit(Event("worker.started", detail=self.name))
        _log.info("worker %s serves %s", self.name, ", ".join(self._queue_names))

    async def run(self) -> None:
        """Start, serve until SIGTERM or SIGINT, and stop. A second signal goes straight to cancelling."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.request_stop)
        try:
            await self._start_or_be_stopped()
            await self._stop_requested.wait()
        finally:
            await self.stop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def request_stop(self) -> None:
        """What a signal does: the first asks to stop, the second to stop at once."""
        if self._stop_requested.is_set():
            self._cancel_requested.set()
        self._stop_requested.set()

    async def stop(self) -> None:
        """Stop claiming, let active jobs finish, then signal, then cancel; returns when all is closed. Twice is fine.

        Renewal ends last but for the connections: until a job is over its lock must live. What is unfinished goes
        back to the queue at once.
        """
        if self._stopped is not None:
            await asyncio.shield(self._stopped)
            return
        self._stopped = asyncio.get_running_loop().create_future()
        self._stop_requested.set()
        self.app.events.emit(Event("worker.stopping", detail=self.name))
        try:
            await self._stop_jobs()
            for line in self._lines:
                await line.stop_background()
            self.watchdog.stop()
            await asyncio.to_thread(self._renewer.stop)
            logging.getLogger().removeHandler(self._job_log)
            await self._opened.aclose()
        finally:
            self._stopped.set_result(None)
        self.app.events.emit(Event("worker.stopped", detail=self.name))
        _log.info("worker %s has stopped", self.name)

    # Starting

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

    async def _open_resources(self) -> Resources:
        lifespan = self.app.registry.lifespan
        return await self._opened.enter_async_context(lifespan(self.app.settings)) if lifespan else Resources()

    async def _open_line(self, queue_name: str, resources: Resources) -> Line:
        settings, registry = self.app.settings, self.app.registry
        keys = QueueKeys(settings.jobs_prefix, queue_name)
        client = self.app.new_client()  # unnamed: Node counts each named connection as a worker
        self._opened.push_async_callback(client.close)
        queue = Queue(client, keys)
        await until_answered(queue.check_version, self._reporter.redis_lost)
        await until_answered(queue.write_meta, self._reporter.redis_lost)
        blocking = self.app.new_client(keys.client_name(self.name))
        self._opened.push_async_callback(blocking.close)
        watch = SupersedeWatch(queue, lambda on_push: self.app.new_client(on_push=on_push))
        shared = Shared(
            settings,
            registry,
            resources,
            self._renewer,
            self._reporter,
            self.stragglers,
            self.app.enqueuer.enqueue,
        )
        executor = Executor(queue, shared, watch)
        fetcher = Fetcher(queue, blocking, executor, self._reporter, self._claimants())
        background: list[Periodic | SupersedeWatch] = [
            StalledCheck(
                queue,
                self._reporter,
                fetcher.wake,
                interval_ms=settings.worker_stalled_ms,
                max_claims=max((handler.policy.max_claims for handler in registry), default=Policy().max_claims),
            ),
            VersionCheck(queue, fetcher.hold),
        ]
        if any(isinstance(handler.pattern, Superseding) for handler in registry):
            background.append(watch)
        return Line(fetcher, executor, background)

    def _claimants(self) -> list[Claimant]:
        settings = self.app.settings
        return [
            Claimant(f"{self._id}:{number}", self.name, settings.worker_lock_ms)
            for number in range(settings.worker_concurrency)
        ]

    # Stopping

    async def _stop_jobs(self) -> None:
        """Ask, wait, signal, cancel; the second request skips the waiting."""
        for line in self._lines:
            await line.fetcher.stop_claiming()
        drained = asyncio.gather(*(line.fetcher.drained() for line in self._lines))
        if await self._ended(drained, self.app.settings.worker_shutdown_ms / 1000):
            return
        reason = AbortReason("shutdown", "the worker stops")
        runs = [run for line in self._lines for run in line.executor.runs.values()]
        for run in runs:
            run.abort(reason)
        grace_s = max((run.grace_s for run in runs), default=0.0)
        if not await self._ended(drained, grace_s):
            for run in runs:
                run.cancel()
            await self._ended(drained, _CANCEL_S, patient=True)
            for run in runs:
                run.abandon()
            await self._ended(drained, _RECORD_S, patient=True)
        if not drained.done():
            _log.error("jobs could not be put back; their locks expire and another worker takes them")
            for line in self._lines:
                await line.fetcher.abandon()
        await asyncio.gather(drained, return_exceptions=True)

    async def _ended(self, drained: asyncio.Future[list[None]], wait_s: float, *, patient: bool = False) -> bool:
        """Wait for the jobs to end, but no longer than `wait_s`, nor than until the second signal."""
        hurry = asyncio.ensure_future(self._cancel_requested.wait())
        either: set[asyncio.Future[Any]] = {drained} if patient else {drained, hurry}
        await asyncio.wait(either, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        return drained.done()


@dataclass(frozen=True, slots=True)
class Line:
    """What serves one queue."""

    fetcher: Fetcher
    executor: Executor
    background: Sequence[Periodic | SupersedeWatch]

    async def start(self) -> None:
        for part in (*self.background, self.fetcher):
            await part.start()

    async def stop_background(self) -> None:
        for part in self.background:
            await part.stop()
