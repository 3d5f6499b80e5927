"""Which workers the queues have, counted without a look at what they run, and which queues have none."""

from __future__ import annotations

from redis.asyncio import Redis

from jobqueue import App, JobContext, make_job
from jobqueue.inspector import Inspector, UnservedQueue
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import ask, at_work, keys_of


@make_job
async def work(ctx: JobContext) -> None:
    """Of the default queue."""


@make_job(queue="mail")
async def send(ctx: JobContext) -> None:
    """Of another queue."""


async def test_workers_are_counted_for_each_queue_that_is_asked_for(settings: MakeSettings) -> None:
    ours = settings()
    async with at_work(ours, work, send, name="w1") as site, at_work(ours, work, name="w2"):
        inspector = Inspector(site.app)

        async def both() -> bool:
            return await inspector.worker_counts(["jobs", "mail", "nobody"]) == {"jobs": 2, "mail": 1, "nobody": 0}

        await eventually(both)
        assert [worker.name for worker in await inspector.workers("mail")] == ["w1"]
        assert [worker.name for worker in await inspector.workers("jobs")] == ["w1", "w2"]
        assert await inspector.worker_counts([]) == {}


async def test_node_s_workers_are_counted_by_their_connections(app: App, redis: Redis) -> None:
    for name in ("", "n1"):
        await ask(redis, "CLIENT", "SETNAME", app.queue("other").keys.client_name(name))
        assert await Inspector(app).worker_counts(["jobs", "other"]) == {"jobs": 0, "other": 1}


async def test_queues_with_unfinished_jobs_and_no_worker_are_told_the_fullest_first(
    app: App, inspector: Inspector, redis: Redis
) -> None:
    # given: jobs in any unfinished state, finished ones alone, a queue of BullMQ 5, and one that is served
    for queue in ("a", "b", "done"):
        await app.queue(queue).write_meta()
    await ask(redis, "LPUSH", app.queue("a").keys.of("wait"), "1")
    await ask(redis, "LPUSH", app.queue("b").keys.of("active"), "1")
    for queue, word in (("b", "delayed"), ("b", "waiting-children"), ("done", "completed"), ("done", "failed")):
        await ask(redis, "ZADD", app.queue(queue).keys.of(word), 1, "1")
    old, served = app.queue("old").keys, app.queue("served").keys
    await ask(redis, "HSET", old.of("meta"), "version", "bullmq:5.1.0")
    await ask(redis, "LPUSH", old.of("wait"), "1")
    await ask(redis, "HSET", served.of("meta"), "version", "bullmq:6.7.0")
    await ask(redis, "LPUSH", served.of("wait"), "1")
    await ask(redis, "CLIENT", "SETNAME", served.client_name("n1"))

    unserved = await inspector.unserved()
    first = await inspector.unserved(1)

    assert unserved.queues == (UnservedQueue("b", 3), UnservedQueue("a", 1))
    assert unserved.more == 0
    assert (first.queues, first.more) == ((UnservedQueue("b", 3),), 2)


async def test_keys_of_another_type_hide_no_worker(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    keys = keys_of(ours)
    async with at_work(ours, work, name="w1") as site:
        inspector = Inspector(site.app)

        async def listed() -> bool:
            return len(await inspector.workers()) == 1

        await eventually(listed)
        await ask(redis, "SET", keys.job("text"), "x")
        await ask(redis, "HSET", keys.job("locked"), "name", "work")
        await ask(redis, "RPUSH", keys.job_lock("locked"), "x")
        await ask(redis, "RPUSH", keys.of("active"), "text", "locked", "gone")
        await ask(redis, "SADD", keys.workers(), "odd")
        await ask(redis, "RPUSH", keys.worker("odd"), "x")

        (worker,) = await inspector.workers()
        assert (worker.name, worker.active_count) == ("w1", 0)


async def test_a_set_of_workers_that_is_no_set_is_that_of_nobody(app: App, inspector: Inspector, redis: Redis) -> None:
    await ask(redis, "SET", app.queue().keys.workers(), "x")
    assert await inspector.workers() == ()
    assert await inspector.worker_counts(["jobs"]) == {"jobs": 0}


async def test_queues_are_read_by_name_in_the_order_given(app: App, inspector: Inspector) -> None:
    assert [view.name for view in await inspector.queues(["notes", "nobody", "jobs"])] == ["notes", "nobody", "jobs"]
    assert await inspector.queues([]) == ()
