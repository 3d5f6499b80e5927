"""Jobs that cannot run here, and queues that must not: refused clearly, once, and mendable."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel
from redis.asyncio import Redis

from jobqueue import App, JobContext, JobFailed, QueueVersionError, Registry, Worker, make_job
from jobqueue.settings import Settings
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import ask, at_work, keys_of, position


class Order(BaseModel):
    """A payload with a field of each side."""

    count: int
    note: str = ""


def make_order(runs: list[Order]) -> Registry:
    async def order(ctx: JobContext, payload: Order) -> int:
        runs.append(payload)
        return payload.count

    return Registry([make_job(order, attempts=5)])


async def enqueue_anything(settings: Settings, name: str, payload: object) -> str:
    """Enqueue from a service whose handler of that name takes whatever it is given."""

    async def takes_anything(ctx: JobContext, payload: object) -> None: ...

    async with App(Registry([make_job(takes_anything, name=name, attempts=5)]), settings) as app:
        return (await app.enqueue_job(name, payload)).job_id


async def test_an_unknown_handler_fails_the_job_once_and_says_which_are_known(settings: MakeSettings) -> None:
    ours = settings()
    job_id = await enqueue_anything(ours, "mistyped", 1)

    async def known(ctx: JobContext) -> None: ...

    async with at_work(ours, make_job(known)) as site:
        assert await site.end_of(job_id) == ("failed", "unknown handler 'mistyped' (registered here: known)")
        stored = await site.job(job_id)
        assert (stored.attempts, stored.attempts_made) == (5, 1)


async def test_an_invalid_payload_fails_the_job_once_and_names_the_fields(settings: MakeSettings) -> None:
    runs: list[Order] = []
    ours = settings()
    job_id = await enqueue_anything(ours, "order", {"count": "many", "note": 7})

    async with at_work(ours, *make_order(runs)) as site:
        state, reason = await site.end_of(job_id)

        assert state == "failed"
        assert "payload.count: Input should be a valid integer" in (reason or "")
        assert "payload.note: Input should be a valid string" in (reason or "")
        assert ((await site.job(job_id)).attempts_made, runs) == (1, [])


async def test_a_job_refused_for_its_handler_runs_when_it_is_retried_where_the_handler_is_known(
    settings: MakeSettings,
) -> None:
    runs: list[Order] = []
    ours = settings()
    job_id = await enqueue_anything(ours, "order", {"count": 3})
    async with at_work(ours) as without:
        assert (await without.end_of(job_id))[0] == "failed"

    async with at_work(ours, *make_order(runs)) as site:
        await site.app.retry_job(job_id, queue=ours.jobs_queue)

        assert await site.end_of(job_id) == ("completed", "3")
        assert runs == [Order(count=3)]


async def test_a_foreign_job_s_data_is_the_payload_itself(settings: MakeSettings, redis: Redis) -> None:
    runs: list[Order] = []
    ours = settings()
    keys = keys_of(ours)

    async with at_work(ours, *make_order(runs)) as site:
        fields = ("name", "order", "data", '{"count":4,"type":"urgent"}', "opts", "{}", "timestamp", "1")
        await ask(redis, "HSET", keys.job("foreign"), *fields)
        await ask(redis, "LPUSH", keys.of("wait"), "foreign")
        await ask(redis, "ZADD", keys.of("marker"), 0, "0")

        assert await site.end_of("foreign") == ("completed", "4")


async def test_what_a_failed_job_says_is_what_its_waiter_hears(settings: MakeSettings) -> None:
    async def fails(ctx: JobContext) -> None:
        raise ValueError("the very reason")

    handler = make_job(fails, attempts=1)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)
        with pytest.raises(JobFailed, match=r"^the very reason$"):
            await job.wait(10)


async def write_version_5(redis: Redis, settings: Settings) -> None:
    await ask(redis, "HSET", keys_of(settings).of("meta"), "version", "bullmq:5.71.0")


async def write_paused_list(redis: Redis, settings: Settings) -> None:
    await ask(redis, "LPUSH", keys_of(settings).of("paused"), "1", "2")


async def test_a_queue_of_bullmq_5_is_refused_at_the_start(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    await write_version_5(redis, ours)

    async with App(Registry(), ours) as app:
        worker = Worker(app)
        with pytest.raises(QueueVersionError, match=r"meta.version is bullmq:5.71.0.*then try again"):
            await worker.start()
        await worker.stop()

    version = await ask(redis, "HGET", keys_of(ours).of("meta"), "version")
    assert version == "bullmq:5.71.0", "what was found is left as it was"


async def test_a_queue_with_jobs_that_bullmq_5_paused_is_refused_at_the_start(
    settings: MakeSettings, redis: Redis
) -> None:
    ours = settings()
    await write_paused_list(redis, ours)

    async with App(Registry(), ours) as app:
        worker = Worker(app)
        with pytest.raises(QueueVersionError, match=r"its 'paused' list holds 2 jobs"):
            await worker.start()
        await worker.stop()


async def test_run_raises_what_refused_the_start(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    await write_version_5(redis, ours)

    async with App(Registry(), ours) as app:
        with pytest.raises(QueueVersionError):
            await asyncio.wait_for(Worker(app).run(), 10)


async def test_a_job_for_a_handler_of_another_queue_is_run_from_that_queue(settings: MakeSettings) -> None:
    runs: list[str] = []

    async def mail(ctx: JobContext) -> None:
        runs.append(ctx.job.queue)

    handler = make_job(mail, queue="mails")

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)
        await job.wait(10)

        assert (job.queue, runs) == ("mails", ["mails"])


async def test_a_worker_leaves_queues_alone_that_it_does_not_serve(settings: MakeSettings, redis: Redis) -> None:
    async def mail(ctx: JobContext) -> None: ...

    ours = settings()

    async with at_work(ours, make_job(mail)) as site:
        job = await site.app.enqueue_job("mail", queue="elsewhere")
        done = await site.app.enqueue_job("mail")
        await done.wait(10)

        waiting = await ask(redis, "LRANGE", f"{ours.jobs_prefix}:elsewhere:wait", 0, -1)
        assert waiting == [job.job_id]
        assert await position(redis, keys_of(ours), done.job_id) == "completed"
        await eventually(lambda: site.count("job.completed") == 1)
