"""Family: who created a job, what it created, and how much of that is kept."""

from __future__ import annotations

from redis.asyncio import Redis

from jobqueue import App, JobContext, fixed, make_job
from jobqueue.inspector import Inspector, Kin
from jobqueue.keys import QueueKeys
from jobqueue.worker.journal import KEEP_CREATED_S, MAX_CREATED, MAX_CREATORS, MAX_SINCE
from tests.board.support import heartbeat
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, working
from tests.support.proxy import proxied
from tests.support.redis_server import RedisServer


@make_job(queue="mails")
async def send(ctx: JobContext) -> None: ...


@make_job
async def step(ctx: JobContext) -> None: ...


@make_job
async def spread(ctx: JobContext, payload: int) -> None:
    """Enqueues so many jobs by turns in its own queue and in another; ids of their own make a repeat harmless."""
    for number in range(payload):
        if number % 2:
            await ctx.enqueue_job(send, job_id=f"mail-{number}")
        else:
            await ctx.enqueue_job(step, job_id=f"step-{number}", delay_ms=60_000)


async def test_what_a_handler_enqueued_is_shown_the_latest_first_and_names_its_creator(settings: MakeSettings) -> None:
    async with working(settings(), spread, send, step) as app:
        enqueued = await app.enqueue_job(spread, 3)
        await enqueued.wait(WAIT_S)
        await (await app.enqueue_job(send, job_id="last", queue="mails")).wait(WAIT_S)
        inspector = Inspector(app)

        family = await inspector.family("jobs", enqueued.job_id)
        creator = (await inspector.family("mails", "mail-1")).creator

    assert family.created == (
        Kin("jobs", "step-2", "step", "delayed"),
        Kin("mails", "mail-1", "send", "completed"),
        Kin("jobs", "step-0", "step", "delayed"),
    )
    assert (family.created_count, family.creator, family.flow) == (3, None, None)
    assert creator == Kin("jobs", enqueued.job_id, "spread", "completed")


async def test_what_is_enqueued_again_in_a_second_run_is_noted_once(settings: MakeSettings) -> None:
    tries: list[int] = []

    @make_job(name="twice", attempts=2, backoff=fixed(0))
    async def twice(ctx: JobContext) -> None:
        tries.append(1)
        await ctx.enqueue_job(step, job_id="the one", delay_ms=60_000)
        await ctx.enqueue_job(step, delay_ms=60_000)
        if len(tries) == 1:
            raise ValueError("once more")

    async with working(settings(), twice, step) as app:
        enqueued = await app.enqueue_job(twice)
        await enqueued.wait(WAIT_S)
        family = await Inspector(app).family("jobs", enqueued.job_id)

    assert family.created_count == 3
    assert [kin.id for kin in family.created].count("the one") == 1


async def test_what_is_noted_again_since_the_answer_was_lost_counts_once(
    settings: MakeSettings, redis_server: RedisServer, redis: Redis, prefix: str
) -> None:
    keys = QueueKeys(prefix, "jobs")
    async with proxied(redis_server.url) as proxy, working(settings(redis_url=proxy.url), spread, send, step) as app:
        await (await app.enqueue_job(spread, 1)).wait(WAIT_S)  # the script is loaded then
        lost = proxy.lose_answer(keys.creators())

        enqueued = await app.enqueue_job(spread, 2)
        await enqueued.wait(WAIT_S)

        assert lost.is_set()
        assert (await Inspector(app).family("jobs", enqueued.job_id)).created_count == 1
    assert await redis.zscore(keys.creators(), enqueued.job_id) == 2


async def test_who_created_a_job_need_not_be_one(app: App, inspector: Inspector) -> None:
    by_person = await app.enqueue_job(heartbeat, created_by="alice")
    head = await app.enqueue_job(heartbeat)
    by_job = await app.enqueue_job(heartbeat, created_by=head.job_id)
    assert (await inspector.family("jobs", by_person.job_id)).creator is None
    assert (await inspector.family("jobs", by_job.job_id)).creator == Kin("jobs", head.job_id, "heartbeat", "waiting")


# How much is kept


async def test_of_very_many_created_jobs_the_last_are_kept_and_all_are_counted(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    keys = QueueKeys(prefix, "jobs")
    await redis.zadd(keys.created("wide"), {f"jobs:old-{number}": number for number in range(1, MAX_CREATED + 1)})

    async with working(settings(worker_concurrency=1), spread, send, step) as app:
        await (await app.enqueue_job(spread, 4, job_id="wide")).wait(WAIT_S)
        family = await Inspector(app).family("jobs", "wide")

    assert await redis.zcard(keys.created("wide")) == MAX_CREATED
    assert family.created_count == MAX_CREATED + 4
    assert [kin.id for kin in family.created[:2]] == ["mail-3", "step-2"]
    assert family.created[4] == Kin("jobs", f"old-{MAX_CREATED}", None, "unknown")


async def test_of_very_many_creators_the_one_that_was_heard_of_longest_ago_goes_first(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    # given as many creators as are kept, of which the first is heard of once more
    keys = QueueKeys(prefix, "jobs")
    await redis.zadd(keys.creators(), {f"c{number}": number for number in range(1, MAX_CREATORS + 1)})
    for creator in ("c1", "c2", "c3"):
        await redis.zadd(keys.created(creator), {"jobs:x": 1})

    # when
    async with working(settings(), spread, step) as app:
        await (await app.enqueue_job(spread, 1, job_id="c1")).wait(WAIT_S)
        assert await redis.exists(keys.created("c2")), "there is room for it still"
        await redis.delete(f"{keys.base}step-0")
        newest = await app.enqueue_job(spread, 1)
        await newest.wait(WAIT_S)

    # then
    kept = [creator for creator in ("c1", "c2", "c3", newest.job_id) if await redis.exists(keys.created(creator))]
    assert kept == ["c1", "c3", newest.job_id]
    assert await redis.zcard(keys.creators()) == MAX_CREATORS


async def test_a_creator_is_forgotten_when_others_have_created_very_many_jobs_since(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """Ten thousand creators of a thousand jobs each would fill a gigabyte."""
    keys = QueueKeys(prefix, "jobs")
    await redis.zadd(keys.creators(), {"early": 7, "later": 8, "latest": MAX_SINCE + 6})
    for creator in ("early", "later", "latest"):
        await redis.zadd(keys.created(creator), {f"jobs:{number}": number for number in range(1, 11)})

    async with working(settings(), spread, step) as app:
        await (await app.enqueue_job(spread, 1)).wait(WAIT_S)

    assert [await redis.exists(keys.created(creator)) for creator in ("early", "later", "latest")] == [0, 1, 1]
    assert await redis.zscore(keys.creators(), "early") is None


async def test_what_was_created_is_forgotten_when_a_week_has_passed_without_more(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    keys = QueueKeys(prefix, "jobs")
    async with working(settings(), spread, step) as app:
        enqueued = await app.enqueue_job(spread, 1)
        await enqueued.wait(WAIT_S)

    for key in (keys.created(enqueued.job_id), keys.creators()):
        assert 0 < await redis.pttl(key) <= KEEP_CREATED_S * 1000
