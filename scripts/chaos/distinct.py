"""Memory: as many order keys, lanes, objects and handlers as a queue sees in its life; nothing of them stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from jobqueue import Handler, JobContext, Registry, Worker, limit, make_job, make_singleton_job, make_superseding_job
from jobqueue.job import Keep
from scripts.chaos.ground import Ground, NeverQuiet, ground
from scripts.chaos.report import Findings

NONE: Final = Keep(count=0)
BATCH: Final = 1_000
CALL_MS: Final = 60_000
"""How busy the machine is must not matter."""


def itself(name: str) -> str:
    return name


@make_superseding_job(dedupe_key=itself, concurrency=limit(1, by=itself), keep_completed=NONE, keep_failed=NONE)
async def tied(ctx: JobContext, name: str) -> None:
    """Of a lane, an order key, a limit and an object of its own."""


@make_singleton_job(key=itself, duplicates="reject", keep_completed=NONE, keep_failed=NONE)
async def alone(ctx: JobContext, name: str) -> None:
    """Under a lock of its own, and the only one about its object."""


async def _nothing(ctx: JobContext) -> None:
    """The work of a handler that is one of very many."""


registry = Registry([tied, alone])


@dataclass(frozen=True, slots=True)
class Distinct:
    """So many distinct order keys, lanes, related objects, limits, singletons and handlers, one after another."""

    things: int = 100_000
    handlers: int = 100_000
    concurrency: int = 100
    deadline_s: int = 900
    most_keys: int = 40
    most_kb: int = 2_000

    async def run(self, seed: int) -> Findings:
        findings = Findings()
        settings = {"worker_concurrency": self.concurrency, "redis_call_ms": CALL_MS}
        async with ground("scripts.chaos.distinct:registry", seed, **settings) as site:
            await self._watch(site, findings)
        return findings

    async def _watch(self, site: Ground, findings: Findings) -> None:
        async with _at_work(site):
            await self._live(site, "warm", 10, tied)
            before = await _size(site)
            findings.figures |= {"before: keys": before.keys, "before: bytes": before.bytes}
            for name, handler in (("tied", tied), ("alone", alone)):
                await self._live(site, name, self.things, handler)
                self._judge(findings, name, before, await _size(site))
            await self._live_by_many_handlers(site)
            self._judge(findings, "handlers", before, await _size(site))

    async def _live(self, site: Ground, name: str, things: int, handler: Handler[Any]) -> None:
        """Enqueue a job about each thing, some thousands at a time, so that what piles up is not the backlog."""
        for first in range(0, things, BATCH):
            names = [f"{name}-{number}" for number in range(first, min(first + BATCH, things))]
            await asyncio.gather(*(_enqueue(site, handler, one) for one in names))
            await self._end(site)

    async def _end(self, site: Ground) -> None:
        """Raises: NeverQuiet."""
        left = await site.quiet(self.deadline_s)
        if left:
            raise NeverQuiet("; ".join(left))

    async def _live_by_many_handlers(self, site: Ground) -> None:
        for first in range(0, self.handlers, BATCH):
            some = [
                make_job(_nothing, name=f"handler-{number}", keep_completed=NONE)
                for number in range(first, min(first + BATCH, self.handlers))
            ]
            ids = [site.app.registry.add(handler) for handler in some]
            await site.app.enqueue_jobs([(handler, None) for handler in some])
            await self._end(site)
            for handler_id in ids:
                site.app.registry.remove(handler_id)

    def _judge(self, findings: Findings, name: str, before: Size, after: Size) -> None:
        findings.figures |= {f"{name}: keys": after.keys, f"{name}: bytes": after.bytes}
        more, grown = after.keys - before.keys, after.bytes - before.bytes
        findings.claim(
            f"{name}: the keys are as many as they were, but for figures of the time that passed",
            [f"{more} more"] if more > self.most_keys else [],
            f"{more:+}",
        )
        findings.claim(
            f"{name}: they take at most {self.most_kb} KB more",
            [f"{grown:,} bytes more"] if grown > self.most_kb * 1_000 else [],
            f"{grown:+,} bytes",
        )


class Size(NamedTuple):
    """Every key of Redis but the event stream, which has a bound of its own."""

    keys: int
    bytes: int


async def _enqueue(site: Ground, handler: Handler[Any], name: str) -> None:
    order_key = name if handler is tied else None
    if order_key is None:
        await site.app.enqueue_job(handler, name, related=("thing", name))
    else:
        await site.app.enqueue_job(handler, name, related=("thing", name), order_key=order_key)


async def _size(site: Ground) -> Size:
    keys = [site.keys.of(key) for key in await site.all_keys() if key != "events"]
    sizes = await asyncio.gather(*(site.ask("MEMORY", "USAGE", key, "SAMPLES", 0) for key in keys))
    return Size(len(keys), sum(size or 0 for size in sizes))


@asynccontextmanager
async def _at_work(site: Ground) -> AsyncGenerator[None]:
    worker = Worker(site.app)
    await worker.start()
    try:
        yield
    finally:
        await worker.stop()
