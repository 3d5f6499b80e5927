"""Inspector: what a screen sees of queues and jobs, and what it may do to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from jobqueue.app import App
from jobqueue.errors import InvalidOption, JobNotFound, JobNotInState, QueueVersionError
from jobqueue.inspector import MAX_LOG_LINES, MAX_SORTED, STATES, Inspector
from jobqueue.job import State
from jobqueue.masking import MASK
from tests.board.support import REGISTRY, SyncData, activate, complete, fail, heartbeat, note, sync_data
from tests.conftest import MakeSettings
from tests.inspector.support import SOMEBODY


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(REGISTRY, settings()) as app:
        yield app


@pytest.fixture
def inspector(app: App) -> Inspector:
    return Inspector(app)


# Queues


async def test_queues_are_the_registrys_and_those_that_redis_knows(app: App, inspector: Inspector) -> None:
    await app.queue("other").write_meta()
    await app.client.call("HSET", "elsewhere:foreign:meta", "version", "bullmq:6.7.0")
    assert [queue.name for queue in await inspector.queues()] == ["jobs", "notes", "other"]


async def test_a_foreign_queue_whose_name_cannot_be_ours_is_passed_over(app: App, inspector: Inspector) -> None:
    """BullMQ's documents put braces around a queue's name for Redis Cluster; one such made every page an error."""
    await app.client.call("HSET", f"{app.settings.jobs_prefix}:{{mails}}:meta", "version", "bullmq:6.7.0")
    await app.queue("other").write_meta()
    assert [queue.name for queue in await inspector.queues()] == ["jobs", "notes", "other"]
    assert not await inspector.has_queue("{mails}")
    with pytest.raises(InvalidOption, match="braces"):
        await inspector.queue("{mails}")


async def test_a_queue_that_was_removed_is_no_longer_listed(app: App, inspector: Inspector) -> None:
    await app.queue("other").write_meta()
    assert await inspector.has_queue("other")
    await inspector.queues()
    await app.client.call("DEL", app.queue("other").keys.of("meta"))
    assert [queue.name for queue in await inspector.queues()] == ["jobs", "notes"]
    assert not await inspector.has_queue("other")


async def test_a_prefix_with_letters_of_a_pattern_finds_its_own_queues_only(
    settings: MakeSettings, prefix: str
) -> None:
    async with (
        App(REGISTRY, settings(jobs_prefix=f"{prefix}[a]*")) as app,
        App(REGISTRY, settings(jobs_prefix=f"{prefix}a1")) as foreign,
    ):
        await app.queue("mine").write_meta()
        await foreign.queue("theirs").write_meta()
        assert [queue.name for queue in await Inspector(app).queues()] == ["jobs", "notes", "mine"]


async def test_counts_are_by_state_and_a_pause_shows(app: App, inspector: Inspector) -> None:
    await app.enqueue_job(heartbeat)
    await app.enqueue_job(heartbeat, delay_ms=60_000)
    await app.enqueue_job(heartbeat, priority=2)
    await activate(app, await app.enqueue_job(heartbeat))
    await fail(app, await app.enqueue_job(heartbeat), "no")
    await complete(app, await app.enqueue_job(heartbeat), "1")
    await app.client.call("HSET", app.queue().keys.of("meta"), "paused", "1")

    jobs = (await inspector.queues())[0]

    once = ("waiting", "delayed", "prioritized", "active", "failed", "completed")
    assert jobs.counts == {state: int(state in once) for state in STATES}
    assert jobs.paused


async def test_a_queue_of_bullmq_5_is_listed_as_refused_and_not_touched(app: App, inspector: Inspector) -> None:
    await app.client.call("HSET", app.queue("old").keys.of("meta"), "version", "bullmq:5.41.0")
    old = (await inspector.queues())[-1]
    assert old.name == "old"
    assert old.refused is not None
    assert "BullMQ 5" in old.refused
    for act in (
        inspector.jobs("old", "waiting"),
        inspector.job("old", "1"),
        inspector.acting_as(SOMEBODY).retry("old", "1"),
    ):
        with pytest.raises(QueueVersionError):
            await act


# Lists


@pytest.mark.parametrize("state", ["waiting", "delayed", "prioritized"])
async def test_unfinished_jobs_are_listed_by_the_time_of_enqueueing_newest_first(
    app: App, inspector: Inspector, state: State
) -> None:
    # given: an order of enqueueing that the queue's own order contradicts
    delay_ms, priority = (60_000 if state == "delayed" else 0), (9 if state == "prioritized" else 0)
    ids: list[str] = []
    for position in range(12):
        enqueued = await app.enqueue_job(
            heartbeat, delay_ms=delay_ms and delay_ms - position * 1_000, priority=priority and priority - position % 3
        )
        await app.client.call("HSET", app.queue().keys.job(enqueued.job_id), "timestamp", 1_000_000 + position)
        ids.append(enqueued.job_id)
    await app.client.call("HSET", app.queue().keys.job(ids[0]), "timestamp", 2_000_000)  # as a retried one would be

    found = await inspector.jobs("jobs", state, 0, 5)
    rest = await inspector.jobs("jobs", state, 5, 100)

    assert [view.id for view in (*found.jobs, *rest.jobs)] == [ids[0], *reversed(ids[1:])]
    assert found.total == 12


@pytest.mark.parametrize("state", ["completed", "failed"])
async def test_finished_jobs_are_listed_by_finish_time_newest_first(
    app: App, inspector: Inspector, state: State
) -> None:
    ids: list[str] = []
    for finished_at_ms in (2_000, 3_000, 1_000):
        enqueued = await app.enqueue_job(heartbeat)
        if state == "completed":
            await complete(app, enqueued, "1", finished_at_ms)
        else:
            await fail(app, enqueued, "no", at_ms=finished_at_ms)
        ids.append(enqueued.job_id)
    found = await inspector.jobs("jobs", state)
    assert [view.id for view in found.jobs] == [ids[1], ids[0], ids[2]]


async def test_a_long_list_keeps_the_queues_own_order_and_pages_to_its_end(app: App, inspector: Inspector) -> None:
    enqueued = await app.enqueue_jobs([(heartbeat, None)] * (MAX_SORTED + 5))
    first = await inspector.jobs("jobs", "waiting", 0, 2)
    last = await inspector.jobs("jobs", "waiting", MAX_SORTED + 4, 100)
    beyond = await inspector.jobs("jobs", "waiting", MAX_SORTED + 5, 100)
    assert [view.id for view in first.jobs] == [enqueued[-1].job_id, enqueued[-2].job_id]
    assert [view.id for view in last.jobs] == [enqueued[0].job_id]
    assert beyond.jobs == ()
    assert beyond.total == MAX_SORTED + 5


async def test_offset_and_limit_are_clamped(inspector: Inspector) -> None:
    assert (await inspector.jobs("jobs", "failed", -5, 0)).limit == 1
    most = await inspector.jobs("jobs", "failed", 10**30, 10**30)
    assert most.limit == 100
    assert (await inspector.jobs("jobs", "failed", -5, 5)).offset == 0


async def test_a_delayed_job_says_when_it_runs(app: App, inspector: Inspector) -> None:
    enqueued = await app.enqueue_job(heartbeat, delay_ms=60_000)
    [listed] = (await inspector.jobs("jobs", "delayed")).jobs
    shown = await inspector.job("jobs", enqueued.job_id)
    assert shown.job is not None
    assert shown.run_at_ms == listed.run_at_ms == shown.job.enqueued_at_ms + 60_000


async def test_names_that_no_queue_can_have_are_refused(inspector: Inspector) -> None:
    for name in ("a:b", "", "a\r\nb", "x" * 201):
        with pytest.raises(InvalidOption, match="queue"):
            await inspector.job(name, "1")
        assert not await inspector.has_queue(name)


# One job


async def test_a_job_comes_with_its_state_and_the_last_lines_of_its_log(app: App, inspector: Inspector) -> None:
    enqueued = await app.enqueue_job(note, {"a": 1})
    for number in range(MAX_LOG_LINES + 2):
        await app.queue("notes").add_log(enqueued.job_id, f"line {number}", 10_000)
    view = await inspector.job("notes", enqueued.job_id)
    assert (view.state, view.log_count, len(view.logs)) == ("waiting", MAX_LOG_LINES + 2, MAX_LOG_LINES)
    assert (view.logs[0], view.logs[-1]) == ("line 2", f"line {MAX_LOG_LINES + 1}")


async def test_payload_result_progress_and_options_are_masked(app: App, inspector: Inspector) -> None:
    enqueued = await app.enqueue_job("syncData", {"resource_id": "r", "pinCode": "1234"})
    await app.queue().set_progress(enqueued.job_id, '{"accessToken":"s3cr3t"}')
    await complete(app, enqueued, '[{"password":"s3cr3t"}]')
    [listed] = (await inspector.jobs("jobs", "completed")).jobs
    for view in (listed, await inspector.job("jobs", enqueued.job_id)):
        assert view.job is not None
        assert view.job.envelope.payload == {"resource_id": "r", "due": None, "pinCode": MASK}
        assert view.job.progress == {"accessToken": MASK}
        assert view.job.result == [{"password": MASK}]


@pytest.mark.parametrize(
    "job_id", ["meta", "wait", "id", "nope", "", "job:lane:syncData:r", "repeat:x", "1:lock", "a\r\nb"]
)
async def test_a_key_that_is_no_job_is_not_found(app: App, inspector: Inspector, job_id: str) -> None:
    await app.queue().write_meta()
    await app.enqueue_job(sync_data, SyncData(resource_id="r", pinCode=None))
    await app.client.call("HSET", app.queue().keys.job("repeat:x"), "name", "heartbeat", "ic", "1")
    await app.client.call("SET", app.queue().keys.job_lock("1"), "token")
    with pytest.raises(JobNotFound):
        await inspector.job("jobs", job_id)
    with pytest.raises(JobNotFound):
        await inspector.acting_as(SOMEBODY).retry("jobs", job_id)


async def test_malformed_jobs_are_listed_with_their_raw_fields_beside_the_others(
    app: App, inspector: Inspector
) -> None:
    # given: bad JSON, bytes that are no text, a hash that is gone, a key of another type, a good job
    keys = app.queue().keys
    await app.client.call("HSET", keys.job("json"), "name", "note", "data", '{"broken', "timestamp", "1")
    await app.client.call("HSET", keys.job("bytes"), "name", b"\xff\xfe", "data", b"\xff", "timestamp", "1")
    await app.client.call("SET", keys.job("text"), "x")
    await app.client.call("HSET", keys.job("number"), "name", "note", "data", "{}", "timestamp", "1e999")
    await app.client.call("LPUSH", keys.of("wait"), "json", "bytes", "gone", "text", "number")
    good = await app.enqueue_job(heartbeat)

    views = {view.id: view for view in (await inspector.jobs("jobs", "waiting")).jobs}

    assert views[good.job_id].job is not None
    assert dict(views["json"].raw) == {"name": "note", "data": '{"broken', "timestamp": "1"}
    assert "'data'" in (views["json"].problem or "")
    assert "'timestamp'" in (views["number"].problem or "")
    assert views["bytes"].raw["data"] == "\ufffd"
    assert views["gone"].problem == views["text"].problem == "its hash is gone"
    assert (await inspector.job("jobs", "json")).problem == views["json"].problem


# Retry


async def test_a_failed_job_goes_back_to_waiting_with_its_attempts_reset(app: App, inspector: Inspector) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no", "stack")
    await inspector.acting_as(SOMEBODY).retry("jobs", enqueued.job_id)
    view = await inspector.job("jobs", enqueued.job_id)
    assert view.job is not None
    assert (view.state, view.job.attempts_made) == ("waiting", 0)
    assert (view.job.failed_reason, view.job.finished_at_ms) == (None, None)
    claimed = await app.client.call("ZSCORE", app.queue().keys.of("marker"), "0")
    assert claimed is not None


async def test_a_prioritized_job_that_failed_goes_back_to_its_rank(app: App, inspector: Inspector) -> None:
    enqueued = await app.enqueue_job(heartbeat, priority=3)
    await app.client.call("ZREM", app.queue().keys.of("prioritized"), enqueued.job_id)
    await fail(app, enqueued, "no")
    await inspector.acting_as(SOMEBODY).retry("jobs", enqueued.job_id)
    assert (await inspector.job("jobs", enqueued.job_id)).state == "prioritized"


async def test_a_job_that_has_not_failed_is_refused_by_its_state(app: App, inspector: Inspector) -> None:
    done, running, waiting = [await app.enqueue_job(heartbeat) for _ in range(3)]
    await complete(app, done, "1")
    await activate(app, running)
    for enqueued, state in ((done, "completed"), (running, "active"), (waiting, "waiting")):
        with pytest.raises(JobNotInState) as caught:
            await inspector.acting_as(SOMEBODY).retry("jobs", enqueued.job_id)
        assert caught.value.actual == state
        assert (await inspector.job("jobs", enqueued.job_id)).state == state


async def test_of_two_retries_at_once_one_is_refused(app: App, inspector: Inspector) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    both = [inspector.acting_as(SOMEBODY).retry("jobs", enqueued.job_id) for _ in range(2)]
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["JobNotInState", "NoneType"]
    assert (await inspector.jobs("jobs", "waiting")).total == 1
