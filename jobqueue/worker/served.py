"""Served: everything that one worker does for one queue, opened, started and stopped together."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import uuid4

from jobqueue.app import App
from jobqueue.background import Periodic, Together
from jobqueue.keys import QueueKeys
from jobqueue.presence import Presence
from jobqueue.queue import Queue
from jobqueue.redis.retry import until_answered
from jobqueue.transitions import Claimant
from jobqueue.worker.checks import GateRepair, StalledCheck, VersionCheck
from jobqueue.worker.executor import Executor, Shared
from jobqueue.worker.fetcher import Fetcher
from jobqueue.worker.marks import MarkPoll, MarkPush
from jobqueue.worker.presence import Heartbeat
from jobqueue.worker.statistics import StatisticsFlush


@dataclass(frozen=True, slots=True)
class ServedQueue:
    """The slots of one queue, and the loops beside them."""

    queue: Queue
    fetcher: Fetcher
    executor: Executor
    background: tuple[Periodic, ...]

    @classmethod
    async def open(cls, app: App, name: str, presence: Presence, shared: Shared, opened: AsyncExitStack) -> ServedQueue:
        """Connect, refuse data of BullMQ 5, write the queue's meta. Waits for Redis as long as it takes.

        The connections are closed with `opened`. Raises: QueueVersionError; InvalidOption for a wrong name.
        """
        keys = QueueKeys(app.settings.jobs_prefix, name)
        client = app.new_client()  # unnamed: Node counts each named connection as a worker
        opened.push_async_callback(client.close)
        blocking = app.new_client(keys.client_name(presence.name))
        opened.push_async_callback(blocking.close)
        queue, on_loss = Queue(client, keys), shared.reporter.redis_lost
        await until_answered(queue.check_version, on_loss)
        await until_answered(queue.write_meta, on_loss)
        executor = Executor(queue, shared)
        executor.care.take(await until_answered(queue.care_ms, on_loss))
        started = uuid4().hex
        fetcher = Fetcher(queue, blocking, executor, shared.reporter, _claimants(app, presence.name, started))
        kept = (Heartbeat(queue, started, presence), StatisticsFlush(queue, executor.figures, started))
        return cls(queue, fetcher, executor, (*_background(app, queue, fetcher, executor, shared), *kept))

    async def start(self, beside: Together) -> None:
        """What runs `beside` the jobs ends after them: until then a newer job may still supersede one."""
        await beside.start(*self.background)
        await self.fetcher.start()


def _claimants(app: App, worker: str, started: str) -> list[Claimant]:
    """One for each slot; the tokens are this start's alone, and tell whose the job is."""
    settings = app.settings
    return [
        Claimant(f"{started}:{number}", worker, settings.worker_lock_ms)
        for number in range(settings.worker_concurrency)
    ]


def _background(app: App, queue: Queue, fetcher: Fetcher, executor: Executor, shared: Shared) -> tuple[Periodic, ...]:
    return (
        StalledCheck(queue, shared.reporter, fetcher.wake, app.registry, interval_ms=app.settings.worker_stalled_ms),
        VersionCheck(queue, fetcher.hold),
        GateRepair(queue, app.registry),
        MarkPoll(queue, executor.active),
        MarkPush(queue, executor.active, executor.care, lambda on_push: app.new_client(on_push=on_push)),
    )
