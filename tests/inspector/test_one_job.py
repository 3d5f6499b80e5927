"""One job: its timeline, and what makes it one of a kind. And the gates before which jobs are parked."""

from __future__ import annotations

from redis.asyncio import Redis

from jobqueue.app import App
from jobqueue.inspector import Dedupe, Gate, Inspector, Moment
from tests.board.support import SyncData, activate, complete, heartbeat, sync_data


async def test_a_timeline_has_what_is_kept_of_a_jobs_times_in_order(app: App, inspector: Inspector) -> None:
    job = await app.enqueue_job(heartbeat, delay_ms=60_000)
    waiting = await inspector.job("jobs", job.job_id)
    assert waiting.job is not None
    at_ms = waiting.job.enqueued_at_ms
    assert waiting.timeline == (Moment("enqueued", at_ms), Moment("delayed until", at_ms + 60_000))

    await complete(app, job, "1", at_ms + 70_010)
    await app.client.call("ZREM", app.queue().keys.of("delayed"), job.job_id)
    assert (await inspector.job("jobs", job.job_id)).timeline == (
        *waiting.timeline,
        Moment("started", at_ms + 70_000),
        Moment("finished", at_ms + 70_010),
    )


async def test_a_delayed_job_that_was_cancelled_never_came_to_its_time(app: App, inspector: Inspector) -> None:
    job = await app.enqueue_job(heartbeat, delay_ms=60_000)
    await app.cancel_job(job.job_id, "not needed")

    timeline = (await inspector.job("jobs", job.job_id)).timeline

    assert [moment.what for moment in timeline] == ["enqueued", "finished"]


async def test_a_superseding_job_names_its_lane_and_who_holds_it_now(app: App, inspector: Inspector) -> None:
    older, newer = [await app.enqueue_job(sync_data, SyncData(resource_id="r", pinCode=None)) for _ in range(2)]
    lane = Dedupe("superseding", "syncData:r", newer.job_id)
    assert (await inspector.job("jobs", newer.job_id)).dedupe == (lane,)
    assert (await inspector.job("jobs", older.job_id)).dedupe == (lane,)


async def test_nodes_own_deduplication_is_shown(app: App, inspector: Inspector, redis: Redis, prefix: str) -> None:
    job = await app.enqueue_job(heartbeat)
    await redis.hset(f"{prefix}:jobs:{job.job_id}", "deid", "once")
    assert (await inspector.job("jobs", job.job_id)).dedupe == (Dedupe("bullmq", "once", None),)
    await redis.set(f"{prefix}:jobs:de:once", job.job_id)
    assert (await inspector.job("jobs", job.job_id)).dedupe == (Dedupe("bullmq", "once", job.job_id),)


async def test_keys_of_another_type_beside_a_job_do_not_hide_it(
    app: App, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    job = await app.enqueue_job(sync_data, SyncData(resource_id="r", pinCode=None), order_key="k", related=("a", "b"))
    base = f"{prefix}:jobs:"
    await redis.hset(f"{base}{job.job_id}", "deid", "once")
    for key in ("de:once", "job:lane:syncData:r", "job:order:k", f"job:created:{job.job_id}", f"{job.job_id}:logs"):
        await redis.delete(f"{base}{key}")
        await redis.sadd(f"{base}{key}", "x")
    await redis.lrem(f"{base}wait", 1, job.job_id)
    await redis.zadd(f"{base}waiting-children", {job.job_id: 1})

    view = await inspector.job("jobs", job.job_id)

    assert [one.holder for one in view.dedupe] == [None, None]
    assert (await inspector.family("jobs", job.job_id)).created == ()
    assert len((await inspector.jobs("jobs", "waiting-children")).jobs) == 1


async def test_gates_are_listed_with_their_holders_those_with_the_most_parked_jobs_first(
    app: App, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    few = [await app.enqueue_job(heartbeat, order_key="few:1") for _ in range(2)]
    many = [await app.enqueue_job(heartbeat, order_key="many") for _ in range(4)]
    await app.enqueue_job(heartbeat, order_key="alone")
    await activate(app, few[0])
    await redis.zadd(f"{prefix}:jobs:job:gates:parked", {f"{prefix}:jobs:job:order:gone": 1})
    await redis.zadd(f"{prefix}:jobs:job:gates:parked", {b"\xff": 1})
    await redis.set(f"{prefix}:jobs:job:order:odd", "x")
    await redis.zadd(f"{prefix}:jobs:job:gates:parked", {f"{prefix}:jobs:job:order:odd": 1})

    gates = await inspector.gates("jobs")

    assert gates == (
        Gate("order key", "many", (many[0].job_id,), 3),
        Gate("order key", "few:1", (few[0].job_id,), 1),
    )
    assert await inspector.gates("jobs", -1) == gates[:1]
    assert await inspector.gates("notes") == ()
