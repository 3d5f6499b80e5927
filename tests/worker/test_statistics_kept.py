"""How a worker's figures are kept in Redis, for each handler and time, and not for ever."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from jobqueue.statistics import (
    MAX_HANDLERS,
    MINUTE,
    OTHERS,
    RESOLUTIONS,
    WHOLE_QUEUE,
    merged,
)
from jobqueue.worker.outcomes import (
    Failed,
)
from jobqueue.worker.statistics import Figures
from tests.conftest import MakeSettings
from tests.support.redis_server import RedisServer
from tests.worker.figures import DONE, app_of, ended, flush_of, job_of, kept
from tests.worker.harness import ask, keys_of


async def test_two_workers_that_flush_at_once_add_up(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    async with app_of(ours) as first, app_of(ours) as second:
        figures = [Figures(), Figures()]
        flushes = [
            flush_of(app, one, f"w{at}") for at, (app, one) in enumerate(zip((first, second), figures, strict=True))
        ]
        for _ in range(20):
            for one in figures:
                one.ended(job_of("a"), DONE, 0.01)
                one.ended(job_of("b"), Failed("why"), 0.01)
            await asyncio.gather(*(flush.tick() for flush in flushes))

    by_handler = await kept(ours)
    assert {name: ended(counts) for name, counts in by_handler.items()} == {
        "a": (40, 0, 0),
        "b": (0, 40, 0),
        WHOLE_QUEUE: (40, 40, 0),
    }


async def test_every_key_of_the_figures_ends_by_itself(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    async with app_of(ours) as app:
        figures = Figures()
        figures.ended(job_of(), DONE, 0.01)

        await flush_of(app, figures).tick()

    keys = await ask(redis, "KEYS", f"{keys_of(ours).base}job:stats:*")
    assert len(keys) == len(RESOLUTIONS) + 1
    for key in keys:
        assert await ask(redis, "PTTL", key) > 0
    assert max([await ask(redis, "PTTL", key) for key in keys if ":minute-" in key]) <= MINUTE.keep_ms


async def test_while_nothing_happens_nothing_is_written(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    async with app_of(ours) as app:
        await flush_of(app, Figures()).tick()

    assert await ask(redis, "KEYS", f"{keys_of(ours).base}*") == []


async def test_the_figures_go_on_when_redis_has_forgotten_the_script(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    ours = settings(redis_url=own_redis.url)
    async with app_of(ours) as app, own_redis.client() as redis:
        figures = Figures()
        flush = flush_of(app, figures)
        for _ in range(3):
            figures.ended(job_of(), DONE, 0.01)
            await redis.script_flush()
            await flush.tick()

        assert ended((await kept(ours))["work"]) == (3, 0, 0)


async def test_five_thousand_names_from_outside_share_what_there_is_room_for(
    settings: MakeSettings, redis: Redis
) -> None:
    ours = settings()
    async with app_of(ours) as app:
        for start in range(5):
            figures = Figures()
            for number in range(start * 1_000, (start + 1) * 1_000):
                figures.ended(job_of(f"name {number} {'x' * 300}"), Failed("why"), None)
            await flush_of(app, figures, f"w{start}").tick()

    by_handler = await kept(ours)
    assert len(by_handler) <= MAX_HANDLERS + 1
    assert ended(by_handler[WHOLE_QUEUE]) == (0, 5_000, 0)
    assert ended(merged(counts for name, counts in by_handler.items() if name != WHOLE_QUEUE)) == (0, 5_000, 0)
    assert ended(by_handler[OTHERS])[1] >= 4_000
    assert max(map(len, by_handler)) <= 200


def test_a_worker_holds_so_many_names_and_no_more() -> None:
    figures = Figures()

    for number in range(5_000):
        figures.ended(job_of(f"name {number}"), DONE, None)

    taken = figures.take()
    assert len(taken) == MAX_HANDLERS + 1
    assert ended(merged(taken.values())) == (5_000, 0, 0)


async def test_what_a_foreign_hand_wrote_among_the_figures_is_counted_as_nothing(
    settings: MakeSettings, redis: Redis
) -> None:
    ours = settings()
    async with app_of(ours) as app:
        figures = Figures()
        flush = flush_of(app, figures)
        figures.ended(job_of(), DONE, None)
        await flush.tick()
        for key in await ask(redis, "KEYS", f"{keys_of(ours).base}job:stats:minute-*"):
            await ask(redis, "HSET", key, "work", "no msgpack", WHOLE_QUEUE, b"\xc1")
        figures.ended(job_of(), DONE, None)

        await flush.tick()

    by_handler = await kept(ours)
    assert sum(ended(by_handler["work"])) <= 2, "a new minute may have begun"
    assert ended(by_handler["work"])[0] >= 1


async def test_figures_that_redis_refuses_are_dropped_and_the_next_ones_are_kept(
    settings: MakeSettings, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    ours = settings()
    async with app_of(ours) as app:
        figures = Figures()
        flush = flush_of(app, figures)
        sent = keys_of(ours).statistics_sent("w1")
        await ask(redis, "RPUSH", sent, "what a foreign hand wrote")
        figures.ended(job_of(), DONE, 0.01)
        await flush.tick()
        await ask(redis, "DEL", sent)
        figures.ended(job_of(), Failed("why"), 0.01)

        await flush.tick()

    assert ended((await kept(ours))["work"]) == (0, 1, 0)
    assert "figures of queue jobs are dropped" in caplog.text
