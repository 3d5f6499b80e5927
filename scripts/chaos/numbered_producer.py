"""The producer of R6 and R6C: `python -m scripts.chaos.numbered_producer`; its environment says where to and how fast.

Numbers are dealt out to the prefixes in turn. Half of the jobs have an id, by chance, and are enqueued until they are
acknowledged; of the others an answer that was lost leaves in doubt whether they are stored.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

from jobqueue import App
from jobqueue.errors import OutcomeUnknown, RedisError, RedisReplyError, RedisUnavailable
from jobqueue.job import Enqueued
from jobqueue.redis.connection import pack
from jobqueue.redis.retry import Pause, is_passing
from jobqueue.settings import Settings
from scripts.chaos.at_shards import prefixes
from scripts.chaos.at_work import up
from scripts.chaos.ledger import Ledger
from scripts.chaos.numbered import Numbered, numbered, registry

MODULE: Final = "scripts.chaos.numbered_producer"
RATE, SEED, WAITS = "NUMBERED_JOBS_A_SECOND", "NUMBERED_SEED", "NUMBERED_WAITS"
STORED, REPLICATED, REFUSED, DOUBTED = "stored", "replicated", "refused", "doubted"
"""Words of the ledger: a job was acknowledged; its replica confirmed it (WAIT); it was refused; nobody can say."""

CALLERS: Final = 8
_REPLICA_MS: Final = 300
_CALL_S: Final = 5.0


class Order(NamedTuple):
    """How a producer is to go about it: with `waits` it asks whether the replica has what was acknowledged."""

    jobs_a_second: int
    waits: bool
    seed: str


async def main() -> None:
    order = Order(int(os.environ[RATE]), bool(int(os.environ[WAITS])), os.environ[SEED])
    told_to_end, numbers = asyncio.Event(), itertools.count()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    async with AsyncExitStack() as opened:
        settings = [Settings.load(jobs_prefix=prefix) for prefix in prefixes()]
        apps = [await opened.enter_async_context(App(registry, one)) for one in settings]
        up(Ledger.of_environment(), os.getpid()).touch()
        callers = (_call(apps, numbers, order, told_to_end, caller) for caller in range(CALLERS))
        await asyncio.gather(*callers)


async def _call(
    apps: Sequence[App], numbers: Iterator[int], order: Order, told_to_end: asyncio.Event, caller: int
) -> None:
    """One of those who enqueue at the same time."""
    chance = random.Random(f"{order.seed}/{caller}")
    while not told_to_end.is_set():
        number = next(numbers)
        work_ms = chance.randint(1_000, 4_000) if chance.random() < 0.01 else chance.randint(5, 50)
        await _store(apps[number % len(apps)], Numbered(number, work_ms), order)
        await asyncio.sleep(chance.uniform(0.5, 1.5) * CALLERS / order.jobs_a_second)  # the rate


async def _store(app: App, one: Numbered, order: Order) -> None:
    """Enqueue one job until it is acknowledged or in doubt; what was refused is not stored and may be sent again."""
    ledger, pause = Ledger.of_environment(), Pause()
    has_id = random.Random(one.number).random() < 0.5
    while True:
        try:
            before = await app.client.connect() if order.waits else None
            job = await _enqueue(app, one, has_id=has_id)
        except OutcomeUnknown:
            ledger.write(DOUBTED, str(one.number), 0)
            if not has_id:
                return
        except (RedisUnavailable, RedisReplyError) as error:
            if not is_passing(error):
                raise
            ledger.write(REFUSED, str(one.number), 0, note=str(error)[:200])
        else:
            ledger.write(STORED, str(one.number), 0, key=job.job_id)
            # A new connection knows nothing of what the old one wrote, and would confirm it at once.
            if before is not None and before is await app.client.connect() and await _is_replicated(app):
                ledger.write(REPLICATED, str(one.number), 0)
            return
        await pause.rest()


async def _enqueue(app: App, one: Numbered, *, has_id: bool) -> Enqueued:
    if has_id:
        return await app.enqueue_job(numbered, one, job_id=f"n-{one.number}")
    return await app.enqueue_job(numbered, one)


async def _is_replicated(app: App) -> bool:
    """Whether a replica has confirmed all that this app's connection has written."""
    connection = await app.client.connect()
    try:
        replicas: int = await connection.send(pack("WAIT", 1, _REPLICA_MS), _CALL_S)
    except RedisError:
        return False
    return replicas >= 1


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    asyncio.run(main())
