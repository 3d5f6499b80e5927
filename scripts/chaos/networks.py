"""Bad networks: what is done to the lines between the workers, the producer and a Redis that is well."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from jobqueue import App, Handler
from jobqueue.registry import load_registry
from jobqueue.scripts import around, shipped
from scripts.chaos.crew import Crew
from scripts.chaos.cron_ground import cron_jobs
from scripts.chaos.errand_rules import faults_of, figures_of
from scripts.chaos.errands import Producer
from scripts.chaos.every_pattern import HANDLERS, Errand
from scripts.chaos.fence_rules import ran_again
from scripts.chaos.ground import Ground, ground
from scripts.chaos.harm import meanwhile
from scripts.chaos.leaks import leaks
from scripts.chaos.ledger import clock_us
from scripts.chaos.processor import used_s
from scripts.chaos.report import Figure
from scripts.chaos.resuming import all_work, create_each_second, stop_cron
from tests.support.proxy import Proxy, proxied

REGISTRY: Final = "scripts.chaos.every_pattern:registry"
WORKERS: Final = 2
WAITING: Final = 10
MOST_BYTES: Final = 2_000
MET_S: Final = 60.0
END_S: Final = 120.0

Faults: TypeAlias = dict[str, list[str]]
Judge: TypeAlias = Callable[[Ground, Producer], Awaitable[Faults]]

ADD: Final = "an add with an id"
SCRIPTS: Final = {
    "a claim": shipped("moveToActive"),
    "an enter": around("enterTied", "moveToActive"),
    "a scheduler's next job": around("whileHeld", "updateJobScheduler"),
    "a renewal": shipped("extendLocks"),
    "a completion": around("endTry", "moveToFinished"),
    "a retry": around("endTry", "moveToDelayed"),
    "a retry at once": around("endTry", "retryJob"),
}
LOSSES: Final = {ADD: '"adhoc"'} | {name: script.sha for name, script in SCRIPTS.items()}
"""What each command is known by."""


@dataclass(slots=True)
class Bench:
    """One Redis, its workers behind a line each, a producer behind another, and what was seen of them."""

    site: Ground
    crew: Crew
    producer: Producer
    lines: Sequence[Proxy]
    """Those of the workers; the last one is the producer's."""
    left: list[str] = field(default_factory=list[str])
    unmet: list[str] = field(default_factory=list[str])
    """Harm that could not be done."""
    done: dict[str, int] = field(default_factory=dict[str, int])
    times_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict[str, list[float]](list))
    cpu: float = 0.0
    """The greatest part of a processor that a worker used while it was cut off."""
    ran_again: int = 0
    figures: dict[str, Figure] = field(default_factory=dict[str, Figure])
    faults: Faults = field(default_factory=dict[str, list[str]])
    """What must hold, and what was seen instead; these three are there when the bench has ended."""

    @property
    def chance(self) -> random.Random:
        return self.site.chance

    async def finish(self, judge: Judge) -> None:
        """Let everything that was enqueued come to its end, and judge that."""
        await self.producer.enqueue(len(self.producer.handlers))
        self.left = await self.site.quiet(END_S) + await leaks(self.site)
        self.faults = await judge(self.site, self.producer)
        self.figures = figures_of(self.site, self.producer)
        self.ran_again = ran_again(self.site, [*self.producer.stored])

    async def until_all_work(self, what: str) -> None:
        """Note how long each worker takes from now to its next run."""
        self.times_s[what] += await all_work(self.site, self.crew, self.site.ledger.size, clock_us())


@asynccontextmanager
async def bench(
    seed: int,
    lock_ms: int,
    judge: Judge = faults_of,
    handlers: Sequence[Handler[Errand]] = HANDLERS,
    *,
    direct: int = 0,
) -> AsyncGenerator[Bench]:
    """A bench under load for the block, cron jobs included; `direct` workers more have no bad network before them."""
    settings = {"worker_concurrency": 4, "worker_lock_ms": lock_ms, "worker_stalled_ms": 500}
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(ground(REGISTRY, seed, **settings))
        table = await stack.enter_async_context(cron_jobs(site.app))
        for script in SCRIPTS.values():
            await site.ask("SCRIPT", "LOAD", script.text)  # else the first answer is that it is not known
        lines = [await stack.enter_async_context(proxied(site.server.url)) for _ in range(WORKERS + 1)]
        theirs = site.settings.model_copy(update={"redis_url": lines[-1].url})
        app = await stack.enter_async_context(App(load_registry(REGISTRY), theirs))
        crew = await stack.enter_async_context(
            site.crew(WORKERS + direct, [{"REDIS_URL": line.url} for line in lines[:-1]])
        )
        await create_each_second(table)
        one = Bench(site, crew, Producer(app, site.keys, site.chance, handlers), lines)
        async with meanwhile(one.producer.keep_waiting(WAITING)):
            await all_work(site, crew)
            yield one
        await stop_cron(table)
        await one.finish(judge)


async def delays(one: Bench, each_s: float) -> None:
    """1, 50 and 200 ms each way, for the workers and then for the producer too."""
    for delay_ms in (1, 50, 200):
        before = len(one.producer.stored)
        for lines, part in (one.lines[:-1], 0.75), (one.lines, 0.25):
            for line in lines:
                line.request_delay_s = line.answer_delay_s = delay_ms / 1000
            await asyncio.sleep(part * each_s)  # its length is the subject
        for line in one.lines:
            line.request_delay_s = line.answer_delay_s = 0.0
        one.done[f"jobs stored at {delay_ms} ms each way"] = len(one.producer.stored) - before


async def resets(one: Bench, count: int) -> None:
    """A line is cut after some bytes of answers: in the middle of one, nearly always."""
    before = sum(line.cuts for line in one.lines)
    for _ in range(count):
        line = one.chance.choice(one.lines)
        line.answer_bytes_left = one.chance.randrange(MOST_BYTES)
        await one.site.until(partial(_has_passed, line), MET_S, "the bytes of a line have passed")
        await asyncio.sleep(0.02)  # so that other connections that are in the midst of an answer are cut, too
        line.answer_bytes_left = None
        await asyncio.sleep(one.chance.uniform(0, 0.2))  # the moment is the subject
    one.done["connections cut in the middle of an answer"] = sum(line.cuts for line in one.lines) - before


def _has_passed(line: Proxy) -> bool:
    return not line.answer_bytes_left


async def losses(one: Bench, each: int) -> None:
    """The answers to commands of each kind, in an order drawn by chance; of some a few bytes arrive."""
    kinds = [kind for kind in LOSSES for _ in range(each)]
    one.chance.shuffle(kinds)
    for kind in kinds:
        line = one.lines[-1] if kind == ADD else one.chance.choice(one.lines[:-1])
        after_bytes = one.chance.choice((0, 0, 1, 4, 20))
        lost = line.lose_answer(LOSSES[kind], one.chance.randint(1, 3) if kind != "a renewal" else 1, after_bytes)
        try:
            await asyncio.wait_for(lost.wait(), MET_S)
        except TimeoutError:
            one.unmet.append(f"no answer to {kind} was lost")
        one.done[f"lost answers: {kind}"] = one.done.get(f"lost answers: {kind}", 0) + lost.is_set()
        await asyncio.sleep(one.chance.uniform(0, 0.1))  # the moment is the subject


async def half_open(one: Bench, count: int) -> None:
    """The server's ends of all connections of a line are gone, and nobody says so."""
    for number in range(count):
        await asyncio.sleep(one.chance.uniform(0, 0.5))  # the moment is the subject
        line = one.lines[number % len(one.lines)]
        line.forget_all()
        if line is not one.lines[-1]:
            await one.until_all_work("half open: to each worker's next run")
    one.done["lines left half open"] = count


async def black_hole(one: Bench, hole_s: float, *, everybody: bool) -> None:
    """Nothing passes, connections stay open; what is given up meanwhile never arrives."""
    holes = one.lines if everybody else one.lines[:-1]
    for line in holes:
        line.is_tardy = False
        line.go_silent()
    pids = one.crew.pids[: len(one.lines) - 1]
    before = used_s(pids)
    await asyncio.sleep(hole_s)  # its length is the subject
    one.cpu = max((used - before[pid]) / hole_s for pid, used in used_s(pids).items())
    for line in holes:
        line.speak_again()
    await one.until_all_work("black hole: from its end to each worker's next run")
    one.done["seconds of a black hole"] = round(hole_s)
