"""`jobqueue doctor` on the keys that cron jobs have in Redis: each is known, and named when it has lost its owner."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from jobqueue.cron import CronJob
from jobqueue.cron.migrations import FOLDER
from jobqueue.cron.table import Overlap
from jobqueue.doctor import Check, examine
from tests.conftest import MakeSettings
from tests.cron.scheduled import FAR
from tests.cron.slots import Site, at_work, site
from tests.patterns.working import Gate, own_keys
from tests.support.eventually import eventually
from tests.support.foreign import remove

HOUR_MS = 60 * 60 * 1_000


@make_job
async def work(ctx: JobContext) -> None: ...


@pytest.fixture
async def made(settings: MakeSettings) -> AsyncIterator[Site]:
    """Rows may be saved; nobody works."""
    async with site(settings(), work) as made:
        yield made


async def own_keys_check(made: Site) -> Check:
    checks = {check.name: check for check in await examine(made.app, [FOLDER], pause_s=0)}
    assert checks["order keys and limits of jobs"].status == "ok"
    return checks["own keys of jobs"]


async def row_of(made: Site, name: str, overlap: Overlap = "allow") -> CronJob:
    return await made.cron.create(name=name, pattern=FAR, handler="work", overlap=overlap)


async def remove_scheduler(redis: Redis, prefix: str, row: CronJob) -> None:
    """As other tools do, which know nothing of keys of ours."""
    await redis.zrem(f"{prefix}:jobs:repeat", row.job_id)
    await redis.delete(f"{prefix}:jobs:repeat:{row.job_id}")


async def test_what_cron_jobs_keep_at_work_is_in_order(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    gate = Gate()

    @make_job(name="work")
    async def busy(ctx: JobContext) -> None:
        await gate.wait()

    async with at_work(settings(), busy) as made:
        # given slots that run, and one that waits for its turn
        skipping, queueing = await row_of(made, "one", "skip"), await row_of(made, "other", "queue")
        for row in (skipping, queueing):
            await made.is_in(await made.slot(row), "active")
        await made.is_in(await made.slot(queueing), "waiting-children")
        of_all = {f"job:cron:{kind}" for kind in ("schedulers", "passes", "history")}
        wanted = {*of_all, f"job:overlap:{skipping.id}", "job:gates:parked"}

        async def all_there() -> bool:
            return wanted <= await own_keys(redis, prefix)

        await eventually(all_there)

        # when
        check = await own_keys_check(made)
        gate.opened.set()

    # then
    assert (check.status, check.detail.partition(", ")[2]) == ("ok", "none without an owner")


async def test_the_keys_of_schedulers_that_another_tool_removed_are_a_warning(
    made: Site, redis: Redis, prefix: str
) -> None:
    # given
    rows = [await row_of(made, name) for name in ("one", "other")]
    await remove_scheduler(redis, prefix, rows[0])
    assert (await own_keys_check(made)).status == "ok"  # one is left

    # when
    await remove_scheduler(redis, prefix, rows[1])
    check = await own_keys_check(made)

    # then
    assert check.status == "warning"
    assert check.detail.endswith(f" have no owner: {prefix}:jobs:job:cron:schedulers")


async def test_no_key_outlives_its_time_when_the_last_row_is_gone(made: Site, redis: Redis, prefix: str) -> None:
    # given
    await made.cron.delete((await row_of(made, "one")).id)

    # when
    check = await own_keys_check(made)

    # then
    assert check.status == "ok"
    assert "job:cron:schedulers" not in await own_keys(redis, prefix)


@pytest.mark.parametrize("kind", ["passes", "history", "look", "fired-nightly"])
async def test_a_key_of_cron_that_ends_by_its_time_limit_alone_is_a_warning_without_one(
    made: Site, redis: Redis, prefix: str, kind: str
) -> None:
    # given
    key = f"{prefix}:jobs:job:cron:{kind}"
    await redis.hset(key, "begun", "1")
    await redis.pexpire(key, HOUR_MS)
    assert (await own_keys_check(made)).status == "ok"

    # when
    await redis.persist(key)
    check = await own_keys_check(made)

    # then
    assert (check.status, check.detail) == ("warning", f"1 of 1 have no end: {key}")


async def test_a_slot_that_another_tool_removed_while_it_was_retried_is_a_warning(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """Its row skips no slot for it, but the key would stay until the next slot comes."""

    @make_job(name="work")
    async def failing(ctx: JobContext) -> None:
        raise RuntimeError("no route")

    async with at_work(settings(), failing) as made:
        # given
        row = await made.cron.create(name="nightly", pattern=FAR, handler="work", backoff_ms=HOUR_MS)
        slot, key = await made.slot(row), f"{prefix}:jobs:job:overlap:{row.id}"
        await made.is_in(slot, "delayed")
        assert await redis.hget(key, "holder") == slot
        assert (await own_keys_check(made)).status == "ok"

        # when
        await remove(made.app, slot)
        check = await own_keys_check(made)

    # then
    assert check.status == "warning"
    assert check.detail.endswith(f" have no owner: {key}")
