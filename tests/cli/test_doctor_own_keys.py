"""`jobqueue doctor` on our own keys: each kind is in order while its owner is there, and named when it is not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from handlers.migrations import FOLDER
from jobqueue import App, JobContext, Registry, limit, make_job, make_singleton_job, make_superseding_job
from jobqueue.doctor import Check, examine, mend, search
from jobqueue.flows import flow
from tests.board.support import activate
from tests.conftest import MakeSettings
from tests.patterns.working import FIGURES, WAIT_S, Gate, keys_of, own_keys, serving, working
from tests.support.eventually import eventually
from tests.support.foreign import remove

KEYS, GATES, PARKED = "own keys of jobs", "order keys and limits of jobs", "parked jobs of jobs"
HOUR_MS = 60 * 60 * 1_000


def itself(payload: str) -> str:
    return payload


@make_superseding_job(dedupe_key=itself)
async def sync(ctx: JobContext, payload: str) -> None: ...


@make_job(duplicates="reject")
async def charge(ctx: JobContext) -> None: ...


@make_job(concurrency=limit(1, by=itself))
async def send(ctx: JobContext, payload: str) -> None: ...


@make_job(ack="manual")
async def pay(ctx: JobContext) -> None: ...


@make_job
async def step(ctx: JobContext) -> None: ...


@make_job(rate_limit=(1, HOUR_MS))
async def call(ctx: JobContext) -> None: ...


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(Registry([sync, charge, send, pay, step, call]), settings()) as app:
        yield app


async def checks_of(app: App) -> dict[str, Check]:
    return {check.name: check for check in await examine(app, [FOLDER], pause_s=0)}


async def enqueue_one_of_each(app: App) -> dict[str, str]:
    """Jobs that have every kind of key which a job may have before it ends; the kind, and a key of it."""
    older = await app.enqueue_job(sync, "r1")
    await app.enqueue_job(sync, "r1")
    await app.enqueue_job(charge, related=("order", "7"))
    for _ in range(2):
        await app.enqueue_job(send, "tenant:1")
        await app.enqueue_job(step, order_key="channel:42")
    cancelled, paid = await app.enqueue_job(step), await app.enqueue_job(pay)
    for job in (cancelled, paid):
        await activate(app, job)
    await app.cancel_job(cancelled.job_id)
    await app.mark_done(paid.job_id)
    return {
        "superseded": f"superseded:{older.job_id}",
        "cancel": f"cancel:{cancelled.job_id}",
        "ack": f"ack:{paid.job_id}",
        "lane": "lane:sync:r1",
        "unique": "unique:charge:order:7",
        "related": "related:order:7",
        "order": "order:channel:42",
        "limit": "limit:send:tenant:1",
        "gates": "gates:parked",
    }


async def test_keys_that_have_an_owner_are_in_order(app: App, redis: Redis, prefix: str) -> None:
    # given
    made = await enqueue_one_of_each(app)
    assert await own_keys(redis, prefix) == {f"job:{key}" for key in made.values()}

    # when
    checks = await checks_of(app)

    # then
    assert [checks[name].status for name in (KEYS, GATES, PARKED)] == ["ok", "ok", "ok"]
    assert checks[KEYS].detail.startswith(f"{len(made)},")
    assert checks[PARKED].detail.startswith("2,")


async def test_an_order_key_without_parked_jobs_is_in_order(app: App) -> None:
    """It has a time limit, and no place in the index."""
    # given
    await app.enqueue_job(step, order_key="a")

    # when
    checks = await checks_of(app)

    # then
    assert (checks[KEYS].status, checks[GATES].status) == ("ok", "ok")


async def test_what_a_running_job_holds_is_in_order(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    gate = Gate()

    @make_singleton_job
    async def clean(ctx: JobContext) -> None:
        await gate.wait()

    async with working(settings(), call, clean) as app:
        # given a singleton that runs, and a job whose turn under the rate limit comes later
        await app.enqueue_job(clean)
        await (await app.enqueue_job(call)).wait(WAIT_S)
        await app.enqueue_job(call)
        await gate.reached.wait()
        await eventually(lambda: redis.zcard(f"{prefix}:jobs:delayed"))
        held = await own_keys(redis, prefix)
        assert sorted(key.split(":")[1] for key in held) == ["booked", "fence", "lock", "rate", "worker", "workers"]

        # when
        before = await figures(redis, prefix)
        check = (await checks_of(app))[KEYS]
        after = await figures(redis, prefix)
        gate.opened.set()

    # then
    count, _, verdict = check.detail.partition(", ")
    assert (check.status, verdict) == ("ok", "none without an owner")
    most = len(after) + 1
    assert len(before) <= int(count) - len(held) <= most, "these, figures that may come meanwhile, the relay's lease"


async def figures(redis: Redis, prefix: str) -> set[str]:
    return {key for key in await keys_of(redis, prefix) if key.startswith(f"jobs:{FIGURES}")}


async def test_what_a_worker_leaves_of_itself_and_of_what_ran_is_in_order(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    # given
    @make_job
    async def spread(ctx: JobContext) -> None:
        await ctx.enqueue_job(step, delay_ms=HOUR_MS)

    async with App(Registry([spread, step]), settings()) as app:
        async with serving(app):
            await (await app.enqueue_job(spread)).wait(WAIT_S)
        kinds = [key.split(":")[2] for key in await keys_of(redis, prefix) if key.startswith("jobs:job:")]
        assert set(kinds) == {"stats", "created", "creators"}

        # when
        check = (await checks_of(app))[KEYS]

    # then
    assert (check.status, check.detail) == ("ok", f"{len(kinds)}, none without an owner")


@pytest.mark.parametrize("kind", ["superseded", "cancel", "ack", "lane", "unique", "related", "order", "limit"])
async def test_a_key_whose_jobs_a_foreign_tool_removed_is_a_warning(
    app: App, redis: Redis, prefix: str, kind: str
) -> None:
    # given
    key = f"{prefix}:jobs:job:{(await enqueue_one_of_each(app))[kind]}"
    for number in range(1, int(await redis.get(f"{prefix}:jobs:id") or 0) + 1):
        await remove(app, str(number))
    await redis.delete(*[other for other in await redis.keys(f"{prefix}:jobs:job:*") if other != key])

    # when
    check = (await checks_of(app))[KEYS]

    # then
    assert (check.status, check.detail) == ("warning", f"1 of 1 have no owner: {key}")
    assert "doctor --fix" in (check.advice or "")


@pytest.mark.parametrize("kind", ["superseded", "cancel", "ack", "lane", "unique", "related"])
async def test_a_key_of_a_living_job_that_would_never_end_is_a_warning(
    app: App, redis: Redis, prefix: str, kind: str
) -> None:
    # given
    key = f"{prefix}:jobs:job:{(await enqueue_one_of_each(app))[kind]}"
    assert await redis.persist(key)

    # when
    check = (await checks_of(app))[KEYS]

    # then
    assert check.status == "warning"
    assert key in check.detail


ENDED_BY_TIME = ["lock", "fence", "rate", "care", "created", "creators", "stats", "worker", "workers"]


@pytest.mark.parametrize("kind", ENDED_BY_TIME)
async def test_a_key_that_ends_by_its_time_limit_alone_is_a_warning_without_one(
    app: App, redis: Redis, prefix: str, kind: str
) -> None:
    # given
    endless, ending = (f"{prefix}:jobs:job:{kind}:{name}" for name in ("a", "b"))
    await redis.mset({endless: "1", ending: "1"})
    await redis.pexpire(ending, HOUR_MS)

    # when
    check = (await checks_of(app))[KEYS]

    # then
    assert (check.status, check.detail) == ("warning", f"1 of 2 have no end: {endless}")


async def test_a_cancellation_of_an_earlier_job_with_the_same_id_is_a_warning(
    app: App, redis: Redis, prefix: str
) -> None:
    # given
    await app.enqueue_job(step, job_id="nightly")
    await redis.set(f"{prefix}:jobs:job:cancel:nightly", "1000:not wanted", px=HOUR_MS)

    # when
    check = (await checks_of(app))[KEYS]

    # then
    assert check.status == "warning"
    assert "job:cancel:nightly" in check.detail


async def test_an_index_of_order_keys_that_are_gone_is_a_warning(app: App, redis: Redis, prefix: str) -> None:
    # given
    await redis.zadd(f"{prefix}:jobs:job:gates:parked", {f"{prefix}:jobs:job:order:gone": 0})

    # when
    check = (await checks_of(app))[KEYS]

    # then
    assert check.status == "warning"
    assert "job:gates:parked" in check.detail


@pytest.mark.parametrize("key", ["order:a", "related:order:7", "lane:sync:r1", "cancel:1"])
async def test_a_key_of_ours_that_holds_something_else_is_a_warning_and_the_rest_is_still_looked_at(
    app: App, redis: Redis, prefix: str, key: str
) -> None:
    # given
    await redis.rpush(f"{prefix}:jobs:job:{key}", "x")
    await redis.pexpire(f"{prefix}:jobs:job:{key}", HOUR_MS)

    # when
    checks = await checks_of(app)

    # then
    assert (checks[KEYS].status, checks[PARKED].status, checks["redis"].status) == ("warning", "ok", "ok")


async def test_an_order_key_that_the_repair_does_not_know_is_a_warning_and_mended_as_advised(
    app: App, redis: Redis, prefix: str
) -> None:
    # given a holder that a foreign tool removed, and an index that was lost
    head, parked = [await app.enqueue_job(step, order_key="a") for _ in range(2)]
    index, key = f"{prefix}:jobs:job:gates:parked", f"{prefix}:jobs:job:order:a"
    await redis.delete(index)
    await remove(app, head.job_id)

    # when
    check = (await checks_of(app))[GATES]

    # then
    assert check.status == "warning"
    assert key in check.detail
    assert "doctor --fix" in (check.advice or "")
    await mend(app.queue(), await search(app.queue(), pause_s=0))
    async with serving(app):
        await parked.wait(WAIT_S)


async def test_a_parked_job_before_no_gate_is_a_warning_and_runs_as_advised(
    app: App, redis: Redis, prefix: str
) -> None:
    # given
    _, parked, behind = [await app.enqueue_job(step, order_key="a") for _ in range(3)]
    await redis.zrem(f"{prefix}:jobs:job:order:a", parked.job_id)

    # when
    check = (await checks_of(app))[PARKED]

    # then
    assert check.status == "warning"
    assert check.detail == f"1 of 2 are let go by no order key and no limit: {parked.job_id}"
    assert "jobs cancel ID --queue jobs" in (check.advice or "")
    await app.cancel_job(parked.job_id)
    await app.retry_job(parked.job_id)
    async with serving(app):
        await parked.wait(WAIT_S)
        await behind.wait(WAIT_S)
        assert (await checks_of(app))[PARKED].detail.startswith("0,")


async def test_a_parked_job_that_holds_the_gate_itself_is_a_warning(app: App, redis: Redis, prefix: str) -> None:
    """Nobody lets it go: it would have to end first."""
    # given
    _, parked = [await app.enqueue_job(step, order_key="a") for _ in range(2)]
    await redis.zadd(f"{prefix}:jobs:job:order:a", {parked.job_id: 0})

    # when
    check = (await checks_of(app))[PARKED]

    # then
    assert check.status == "warning"
    assert parked.job_id in check.detail


async def test_a_flows_parent_is_no_parked_job(app: App) -> None:
    # given
    root = await app.enqueue_flow(flow(step, children=[flow(step)]))
    assert await app.queue().state(root.job_id) == "waiting-children"

    # when
    check = (await checks_of(app))[PARKED]

    # then
    assert (check.status, check.detail) == ("ok", "0, each let go by its order key or limit")


async def test_more_parked_jobs_than_are_looked_at_are_said_to_be(app: App) -> None:
    # given
    await app.enqueue_jobs([(step, None)] * 2_500, order_key="a")

    # when
    checks = {check.name: check for check in await examine(app, [FOLDER], max_scanned=1_000)}

    # then
    assert checks[PARKED].status == "ok"
    assert "found among 1000 jobs in waiting-children; there are more" in checks[PARKED].detail
