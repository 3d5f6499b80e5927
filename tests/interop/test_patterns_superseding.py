"""Superseding and refused duplicates, and what Node's workers, its tools and bull-board do to them."""

from __future__ import annotations

import pytest
from pydantic import JsonValue
from redis.asyncio import Redis

from jobqueue import App, DuplicateJob, JobContext, Registry, make_job, make_superseding_job
from tests.conftest import MakeSettings
from tests.interop.board import DONE, Buttons
from tests.interop.node_peer import NodePeer
from tests.patterns.working import WAIT_S, Gate, own_keys, serving

ORDER = ("order", "7")


def of_lane(payload: object) -> str:
    return "lane"


@make_superseding_job(name="sync", dedupe_key=of_lane)
async def sync(ctx: JobContext, payload: object) -> object:
    return payload


@make_job(name="charge", attempts=1, duplicates="reject")
async def charge(ctx: JobContext, payload: object) -> object:
    return payload


@pytest.fixture
def registry() -> Registry:
    return Registry([sync, charge])


def superseded_by(job_id: str) -> JsonValue:
    return {"superseded": True, "by": job_id}


# Superseding


async def test_a_node_worker_runs_the_superseded_job_to_its_end_beside_the_newer_one(
    settings: MakeSettings, watched: NodePeer, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        await watched.start_worker("sleep", {"ms": 200}, opts={"concurrency": 2})
        older = await app.enqueue_job(sync, 1)
        await watched.wait_for_event("active", older.job_id)
        newer = await app.enqueue_job(sync, 2)
        await watched.wait_for_event("active", newer.job_id)
        await watched.wait_for_event("completed", older.job_id)

        assert newer.superseded == older.job_id
        assert (await watched.job(older.job_id)).returnvalue == {"type": "adhoc", "payload": 1, "dedupeKey": "lane"}


async def test_the_lane_of_a_job_that_node_ended_is_free_for_the_next_one(
    settings: MakeSettings, watched: NodePeer, registry: Registry, redis: Redis, prefix: str
) -> None:
    async with App(registry, settings()) as app:
        first = await app.enqueue_job(sync, 1)
        await watched.start_worker("echo")
        await watched.wait_for_event("completed", first.job_id)
        await watched.stop_worker()
        assert await own_keys(redis, prefix) == {"job:lane:sync:lane"}

        second = await app.enqueue_job(sync, 2)
        async with serving(app):
            assert await second.wait(WAIT_S) == 2

    assert second.superseded is None
    assert await own_keys(redis, prefix) == set()


async def test_a_node_producers_job_without_our_envelope_supersedes_an_older_run_when_we_pick_it_up(
    settings: MakeSettings, watched: NodePeer
) -> None:
    gate = Gate()

    @make_superseding_job(name="sync", dedupe_key=of_lane)
    async def ours(ctx: JobContext, payload: int) -> int:
        if payload == 1:
            await gate.wait()
        return payload

    async with App(Registry([ours]), settings()) as app, serving(app):
        older = await app.enqueue_job(ours, 1)
        await gate.reached.wait()
        newer = await watched.add("sync", 2)
        await watched.wait_for_event("completed", newer)
        gate.opened.set()

        assert await older.wait(WAIT_S) == superseded_by(newer)


async def test_bull_boards_remove_of_the_newest_job_does_not_bring_the_superseded_one_back(
    settings: MakeSettings, buttons: Buttons, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        older = await app.enqueue_job(sync, 1)
        newer = await app.enqueue_job(sync, 2)

        assert await buttons.remove(newer.job_id) in DONE
        async with serving(app):
            assert await older.wait(WAIT_S) == superseded_by(newer.job_id)


async def test_bull_boards_promote_of_a_superseded_delayed_job_ends_it_at_once(
    settings: MakeSettings, buttons: Buttons, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        older = await app.enqueue_job(sync, 1, delay_ms=600_000)
        newer = await app.enqueue_job(sync, 2)

        assert await buttons.promote(older.job_id) in DONE
        async with serving(app):
            assert await older.wait(WAIT_S) == superseded_by(newer.job_id)
            assert await newer.wait(WAIT_S) == 2


async def test_bull_boards_retry_runs_a_superseded_job_only_where_no_newer_one_is_unfinished(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons, registry: Registry
) -> None:
    async with App(registry, settings()) as app, serving(app):
        older = await app.enqueue_job(sync, "older", delay_ms=600_000)
        newer = await app.enqueue_job(sync, "newer", delay_ms=600_000)
        assert await buttons.promote(older.job_id) in DONE
        await watched.wait_for_event("completed", older.job_id)

        assert await buttons.retry(older.job_id) in DONE
        await watched.wait_for_event("completed", older.job_id, count=2)
        assert (await watched.job(older.job_id)).returnvalue == superseded_by(newer.job_id)

        assert await buttons.promote(newer.job_id) in DONE
        await watched.wait_for_event("completed", newer.job_id)
        assert await buttons.retry(older.job_id) in DONE
        await watched.wait_for_event("completed", older.job_id, count=3)
        assert (await watched.job(older.job_id)).returnvalue == "older"


# Duplicates that are refused


@pytest.mark.parametrize("processor", ["echo", "failUnrecoverably"])
async def test_once_node_has_ended_the_job_the_next_one_is_taken(
    settings: MakeSettings, watched: NodePeer, registry: Registry, processor: str
) -> None:
    async with App(registry, settings()) as app:
        first = await app.enqueue_job(charge, 1, related=ORDER)
        await watched.start_worker(processor)
        await watched.wait_for_event("completed" if processor == "echo" else "failed", first.job_id)
        await watched.stop_worker()

        assert (await app.enqueue_job(charge, 2, related=ORDER)).created


async def test_a_job_that_failed_in_node_and_waits_for_its_next_try_still_has_its_duplicates_refused(
    settings: MakeSettings, watched: NodePeer, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        first = await app.enqueue_job(charge, 1, related=ORDER, attempts=2, backoff=600_000)
        await watched.start_worker("fail")
        await watched.wait_for_event("delayed", first.job_id)

        with pytest.raises(DuplicateJob) as refused:
            await app.enqueue_job(charge, 2, related=ORDER)
        assert refused.value.job_id == first.job_id


async def test_once_bull_board_has_removed_the_job_the_next_one_is_taken(
    settings: MakeSettings, buttons: Buttons, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        first = await app.enqueue_job(charge, 1, related=ORDER)

        assert await buttons.remove(first.job_id) in DONE
        assert (await app.enqueue_job(charge, 2, related=ORDER)).created


async def test_a_duplicate_that_a_node_producer_adds_is_skipped_when_we_pick_it_up(
    settings: MakeSettings, watched: NodePeer, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        first = await app.enqueue_job(charge, 1, related=ORDER, delay_ms=600_000)
        async with serving(app):
            second = await watched.add(
                "charge", {"type": "adhoc", "payload": 2, "related": {"type": "order", "id": "7"}}
            )
            await watched.wait_for_event("completed", second)

    assert (await watched.job(second)).returnvalue == {"skipped": True, "holder": first.job_id}


async def test_a_node_worker_runs_the_duplicate_that_a_node_producer_adds(
    settings: MakeSettings, watched: NodePeer, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        first = await app.enqueue_job(charge, 1, related=ORDER)
        second = await watched.add("charge", {"type": "adhoc", "payload": 2, "related": {"type": "order", "id": "7"}})

        await watched.start_worker("sleep", {"ms": 200}, opts={"concurrency": 2})
        await watched.wait_for_event("active", first.job_id)
        await watched.wait_for_event("active", second)


async def test_a_failed_job_that_bull_board_retries_is_skipped_while_another_of_its_object_is_unfinished(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons
) -> None:
    @make_job(name="charge", attempts=1, duplicates="reject")
    async def ours(ctx: JobContext, payload: object) -> None:
        raise RuntimeError("no")

    async with App(Registry([ours]), settings()) as app, serving(app):
        first = await app.enqueue_job(ours, 1, related=ORDER)
        await watched.wait_for_event("failed", first.job_id)
        second = await app.enqueue_job(ours, 2, related=ORDER, delay_ms=600_000)

        assert await buttons.retry(first.job_id) in DONE
        assert await first.wait(WAIT_S) == {"skipped": True, "holder": second.job_id}
