"""`jobqueue doctor` on BullMQ's keys: what nothing will ever come to again goes, and nothing else does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_job, make_superseding_job
from jobqueue.doctor import described, mend, queues_of, search
from jobqueue.doctor.rules import subject_of
from jobqueue.flows import flow
from jobqueue.keys import QueueKeys
from tests.board.support import activate
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, keys_of, serving

HOUR_MS = 60 * 60 * 1_000
KEYS = QueueKeys("bull", "jobs")


@make_job
async def step(ctx: JobContext) -> str:
    ctx.log("done")
    return "done"


def itself(lane: str) -> str:
    return lane


@make_superseding_job(dedupe_key=itself)
async def sync(ctx: JobContext, lane: str) -> None: ...


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(Registry([step, sync]), settings()) as app:
        yield app


async def leaked(app: App, queue: str = "jobs") -> list[str]:
    return sorted(map(str, (await search(app.queue(queue), pause_s=0)).mendable))


async def removed(app: App, queue: str = "jobs") -> list[str]:
    found = await search(app.queue(queue), pause_s=0)
    return sorted(map(str, await mend(app.queue(queue), found)))


async def one_job_in_each_state(app: App) -> None:
    """Waiting, prioritized, delayed, parked, active, waiting for children, completed."""
    done = await app.enqueue_job(step)
    async with serving(app):
        await done.wait(WAIT_S)
    await activate(app, await app.enqueue_job(step))
    await app.enqueue_job(step)
    await app.enqueue_job(step, priority=3)
    await app.enqueue_job(step, delay_ms=HOUR_MS)
    for _ in range(2):
        await app.enqueue_job(step, order_key="a")
    await app.enqueue_flow(flow(step, children=[flow(step)]))


async def test_a_queue_with_jobs_in_every_state_has_no_leaks(app: App) -> None:
    # given
    await one_job_in_each_state(app)

    # then
    assert await leaked(app) == []


@pytest.mark.parametrize("queue", ["wait", "prioritized", "delayed", "completed", "active", "waiting-children"])
async def test_an_id_in_a_list_without_a_job_is_taken_out_of_it(
    app: App, redis: Redis, prefix: str, queue: str
) -> None:
    # given
    key = f"{prefix}:jobs:{queue}"
    await one_job_in_each_state(app)
    if queue in ("wait", "active"):
        await redis.rpush(key, "gone")
    else:
        await redis.zadd(key, {"gone": 1})
    before = await keys_of(redis, prefix)

    # when
    found = await removed(app)

    # then
    assert found == [f"gone in {queue}"]
    assert await leaked(app) == []
    assert await keys_of(redis, prefix) == before


async def test_a_job_in_no_list_is_removed_with_what_belongs_to_it(app: App, redis: Redis, prefix: str) -> None:
    """As they are left where somebody deletes a list of BullMQ's to be rid of a backlog."""
    # given
    for _ in range(3):
        await app.enqueue_job(step)
    await app.enqueue_job(step, delay_ms=HOUR_MS)
    await redis.rpush(f"{prefix}:jobs:2:logs", "begun")
    await redis.delete(f"{prefix}:jobs:wait", f"{prefix}:jobs:marker")

    # when
    found = await removed(app)

    # then
    assert found == ["1", "2", "3"]
    left = {key for key in await keys_of(redis, prefix) if not key.startswith("jobs:job:audit")}
    assert {key for key in left if key.partition(":")[2][:1].isdigit()} == {"jobs:4"}


async def test_what_was_written_of_a_job_after_its_removal_is_removed(app: App, redis: Redis, prefix: str) -> None:
    # given a stalled job that had no hash any more, and a log, results of children and a lock without a job
    await redis.hset(f"{prefix}:jobs:7", "stc", "1")
    await redis.rpush(f"{prefix}:jobs:8:logs", "begun")
    await redis.hset(f"{prefix}:jobs:9:processed", f"{prefix}:jobs:1", "true")
    await redis.set(f"{prefix}:jobs:10:lock", "token", px=HOUR_MS)
    await redis.sadd(f"{prefix}:jobs:stalled", "11")

    # when
    found = await removed(app)

    # then
    assert found == ["10:lock", "11 in stalled", "7", "8:logs", "9:processed"]
    assert await keys_of(redis, prefix) == set()


async def test_schedulers_and_deduplication_keys_that_nothing_ends_are_removed(
    app: App, redis: Redis, prefix: str
) -> None:
    # given
    await redis.hset(f"{prefix}:jobs:repeat:nightly", mapping={"name": "step", "ic": "1", "pattern": "0 3 * * *"})
    await redis.set(f"{prefix}:jobs:de:order-7", "gone")
    await redis.set(f"{prefix}:jobs:de:order-8", "gone", px=HOUR_MS)

    # when
    found = await removed(app)

    # then the one that throttles for an hour stays
    assert found == ["de:order-7", "repeat:nightly"]
    assert await leaked(app) == []


async def test_a_marker_for_no_job_is_removed(app: App, redis: Redis, prefix: str) -> None:
    # given
    await redis.zadd(f"{prefix}:jobs:marker", {"0": 0})

    # then
    assert await removed(app) == ["marker"]


async def test_an_active_job_without_a_hash_is_left_to_the_worker_that_holds_its_lock(
    app: App, redis: Redis, prefix: str
) -> None:
    # given
    job = await app.enqueue_job(step)
    await activate(app, job)
    await redis.set(f"{prefix}:jobs:{job.job_id}:lock", "token", px=HOUR_MS)
    await redis.delete(f"{prefix}:jobs:{job.job_id}")

    # then
    assert await leaked(app) == []


async def test_a_child_in_no_list_is_left_where_its_parent_waits_for_it(app: App, redis: Redis, prefix: str) -> None:
    # given
    await app.enqueue_flow(flow(step, children=[flow(step)]))
    await redis.delete(f"{prefix}:jobs:wait", f"{prefix}:jobs:marker")

    # then
    assert await leaked(app) == []


async def test_keys_of_other_applications_are_never_touched(app: App, redis: Redis, prefix: str) -> None:
    """A longer prefix, a queue that nobody asked for, and what is no job at all."""
    # given
    other = App(Registry([step, sync]), app.settings.model_copy(update={"jobs_prefix": f"{prefix}:jobs"}))
    async with other:
        for name in ("mail", "job", "repeat", "7"):
            await other.enqueue_job(step, queue=name)
            await other.enqueue_job(sync, "a", queue=name)
            await redis.delete(f"{prefix}:jobs:{name}:wait")
    await redis.hset(f"{prefix}:jobs:basket", mapping={"name": "Ann", "data": "apples"})
    await redis.set(f"{prefix}:jobs:note", "x")
    await redis.set(f"{prefix}:jobs:job:later:1", "of a newer version")
    await redis.set(f"{prefix}:other:1:lock", "token")
    before = await keys_of(redis, prefix)

    # when
    found = await removed(app)

    # then
    assert found == []
    assert await keys_of(redis, prefix) == before


async def test_other_queues_of_the_prefix_are_found_where_that_is_asked(app: App, redis: Redis, prefix: str) -> None:
    """Also one that was obliterated by a BullMQ tool, which leaves our keys behind."""
    # given
    await redis.hset(f"{prefix}:mail:meta", "version", "bullmq:6.7.0")
    await redis.hset(f"{prefix}:gone:job:lane:sync:a", mapping={"holder": "1", "rank": "1"})
    await redis.set(f"{prefix}:users:7", "no queue")

    # then
    assert set(await queues_of(app)) == {"jobs", "mail", "gone"}
    assert await removed(app, "gone") == ["job:lane:sync:a"]


async def test_keys_of_a_job_that_a_node_worker_finished_are_removed(app: App, redis: Redis, prefix: str) -> None:
    """A Node worker ends the job, and not what it holds."""
    # given
    older = await app.enqueue_job(sync, "a", related=("order", "7"))
    newer = await app.enqueue_job(sync, "a", related=("order", "7"))
    for job in (older, newer):
        await redis.hset(f"{prefix}:jobs:{job.job_id}", "finishedOn", "1")
        await redis.zadd(f"{prefix}:jobs:completed", {job.job_id: 1})
    await redis.delete(f"{prefix}:jobs:wait", f"{prefix}:jobs:marker")

    # then
    assert await removed(app) == ["job:lane:sync:a", "job:related:order:7", f"job:superseded:{older.job_id}"]


async def test_a_key_that_has_lost_its_time_limit_is_given_one_and_stays(app: App, redis: Redis, prefix: str) -> None:
    # given
    await app.enqueue_job(sync, "a")
    lane = f"{prefix}:jobs:job:lane:sync:a"
    await redis.persist(lane)

    # when
    found = await removed(app)

    # then
    assert found == ["job:lane:sync:a"]
    assert await redis.pttl(lane) > HOUR_MS


async def test_a_key_that_holds_something_else_is_left_to_a_person(app: App, redis: Redis, prefix: str) -> None:
    # given
    await redis.rpush(f"{prefix}:jobs:job:lane:sync:a", "x")

    # then
    assert await removed(app) == []
    assert await redis.exists(f"{prefix}:jobs:job:lane:sync:a")


async def test_what_finds_an_owner_between_the_look_and_the_removal_stays(app: App, redis: Redis, prefix: str) -> None:
    # given
    await app.enqueue_job(step, job_id="nightly")
    await redis.delete(f"{prefix}:jobs:wait", f"{prefix}:jobs:marker")
    found = await search(app.queue(), pause_s=0)
    assert [*map(str, found.mendable)] == ["nightly"]

    # when
    await redis.lpush(f"{prefix}:jobs:wait", "nightly")
    done = await mend(app.queue(), found)

    # then
    assert not done
    assert await redis.exists(f"{prefix}:jobs:nightly")


async def test_a_related_set_of_thousands_of_dead_is_removed_whole(app: App, redis: Redis, prefix: str) -> None:
    # given
    key = f"{prefix}:jobs:job:related:order:7"
    await redis.sadd(key, *(f"gone-{number}" for number in range(3_500)))
    await redis.pexpire(key, HOUR_MS)

    # when
    await removed(app)

    # then
    assert not await redis.exists(key)


async def test_each_kind_is_told_with_its_number_examples_and_memory(app: App, redis: Redis, prefix: str) -> None:
    # given
    for number in range(30):
        await redis.rpush(f"{prefix}:jobs:gone-{number}:logs", "x" * 1_000)
    await redis.rpush(f"{prefix}:jobs:wait", "gone")
    found = await search(app.queue(), pause_s=0)

    # when
    logs, entry = await described(app.queue(), found.judged)

    # then
    assert (logs.kind, logs.count, len(logs.examples), entry.count) == ("logs", 30, 3, 1)
    assert 30_000 < logs.bytes < 60_000


@pytest.mark.parametrize(
    "name", ["meta", "stalled-check", "a:b:c", "12:children", "job:new:1", "job:lane", "metrics:failed"]
)
def test_a_key_that_no_rule_is_for_is_left_alone(name: str) -> None:
    assert subject_of(KEYS, KEYS.of(name)) is None


@pytest.mark.parametrize(
    ("name", "kind", "job_id"),
    [
        ("12", "job", "12"),
        ("12:lock", "lock", "12"),
        ("repeat:nightly:1700000000000", "job", "repeat:nightly:1700000000000"),
        ("repeat:nightly:1700000000000:logs", "logs", "repeat:nightly:1700000000000"),
        ("repeat:nightly", "scheduler", "nightly"),
        ("job:cron:fired-nightly", "cron:fired", "fired-nightly"),
    ],
)
def test_a_key_is_told_by_its_name(name: str, kind: str, job_id: str) -> None:
    subject = subject_of(KEYS, KEYS.of(name))

    assert subject is not None
    assert (subject.rule.kind, subject.id) == (kind, job_id)
