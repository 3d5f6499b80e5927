"""Failover ground: what R6 and R6C stand on: the load on a group of servers, and its queues as they are at the end."""

from __future__ import annotations

import random
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from jobqueue import App
from jobqueue.settings import Settings
from scripts.chaos import at_shards, numbered_producer
from scripts.chaos.crew import Crew
from scripts.chaos.ground import QUEUE, Ground
from scripts.chaos.ledger import Ledger
from scripts.chaos.numbered import registry
from tests.support.redis_server import RedisServer

REGISTRY: Final = "scripts.chaos.numbered:registry"


class Load(NamedTuple):
    """Who works and who enqueues. Units: `lock_ms` milliseconds."""

    prefixes: Sequence[str]
    workers: int
    concurrency: int
    lock_ms: int
    jobs_each_s: int
    waits: bool = False


class Crews(NamedTuple):
    """The processes of a load: workers, and one producer."""

    folder: Path
    settings: Settings
    ledger: Ledger
    workers: Crew
    producer: Crew
    seed: int

    @property
    def deaths(self) -> list[str]:
        """Processes that have ended though nobody had told them to."""
        counts = {"workers": self.workers.deaths, "producers": self.producer.deaths}
        return [f"{count} {name} died" for name, count in counts.items() if count]


@asynccontextmanager
async def crews(redis_url: str, load: Load, seed: int) -> AsyncGenerator[Crews]:
    """The processes of the load, not started yet, and a folder of their own, for the block."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        ledger = Ledger(Path(folder) / "ledger")
        settings = Settings.load(
            redis_url=redis_url,
            database_url=f"sqlite+aiosqlite:///{folder}/jobqueue.db",
            jobs_prefix=load.prefixes[0],
            jobs_queue=QUEUE,
            worker_concurrency=load.concurrency,
            worker_lock_ms=load.lock_ms,
            worker_stalled_ms=1_000,
        )
        serves = {at_shards.PREFIXES: " ".join(load.prefixes)}
        enqueues = {
            **serves,
            numbered_producer.RATE: str(load.jobs_each_s),
            numbered_producer.WAITS: str(int(load.waits)),
            numbered_producer.SEED: str(seed),
        }
        workers = Crew(settings, ledger, REGISTRY, load.workers, [serves] * load.workers, at_shards.MODULE)
        producer = Crew(settings, ledger, REGISTRY, 1, [enqueues], numbered_producer.MODULE)
        yield Crews(Path(folder), settings, ledger, workers, producer, seed)


@asynccontextmanager
async def judged(at_work: Crews, prefix: str, server: RedisServer) -> AsyncGenerator[Ground]:
    """One of the queues as it is now, on the server that has it."""
    settings = at_work.settings.model_copy(update={"jobs_prefix": prefix})
    async with server.client() as redis, App(registry, settings) as app:
        yield Ground(at_work.folder, server, redis, settings, app, REGISTRY, at_work.seed, random.Random(at_work.seed))
