"""A worker of ours is killed with -9 while it runs a job of a pattern: who runs it then, and what it still holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from redis.asyncio import Redis

from jobqueue import App, DuplicateJob, Enqueued, JobFailed, Registry, Settings
from tests.conftest import MakeSettings
from tests.interop import mortal
from tests.interop.mortal import Mortal, mortal_in
from tests.interop.node_peer import NodePeer
from tests.patterns.working import WAIT_S, own_keys_of_jobs, serving

ORDER = ("order", "7")


@pytest.fixture
def short(settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Locks that end soon after their worker; a worker in the test's own process writes to the same ledger."""
    monkeypatch.setenv("LEDGER", str(tmp_path / "ledger"))
    return settings(worker_lock_ms=1_000, worker_stalled_ms=100)


@pytest.fixture
def victim(short: Settings, tmp_path: Path) -> Iterator[Mortal]:
    with mortal_in(tmp_path, short) as victim:
        yield victim


def run_twice_then(first: Enqueued, others: Sequence[Enqueued] = ()) -> list[tuple[str, str]]:
    """What the ledger says where the first one's worker died, and then all ran one after another."""
    whole = [(what, job.job_id) for job in (first, *others) for what in ("start", "end")]
    return [("start", first.job_id), *whole]


async def test_a_killed_order_keys_head_runs_again_before_those_behind_it(
    short: Settings, victim: Mortal, redis: Redis, prefix: str
) -> None:
    async with App(Registry(mortal.HANDLERS), short) as app:
        head = await app.enqueue_job(mortal.step, order_key="a")
        behind = [await app.enqueue_job(mortal.step, order_key="a") for _ in range(3)]
        await victim.has_started(head)

        victim.kill()
        async with serving(app), serving(app):
            await behind[-1].wait(WAIT_S)

    assert victim.lines() == run_twice_then(head, behind)
    assert await own_keys_of_jobs(redis, prefix) == set()


async def test_a_killed_order_keys_head_that_node_takes_over_still_goes_before_those_behind_it(
    short: Settings, victim: Mortal, watched: NodePeer
) -> None:
    async with App(Registry(mortal.HANDLERS), short) as app:
        head = await app.enqueue_job(mortal.step, order_key="a")
        behind = await app.enqueue_job(mortal.step, order_key="a")
        await victim.has_started(head)

        victim.kill()
        await watched.start_worker("echo", opts={"stalledInterval": 100})
        await watched.wait_for_event("completed", head.job_id)
        await watched.stop_worker()
        assert await app.queue().state(behind.job_id) == "waiting-children"
        async with serving(app):
            await behind.wait(WAIT_S)


async def test_a_killed_job_keeps_its_place_under_the_limit_until_it_has_run_again(
    short: Settings, victim: Mortal, redis: Redis, prefix: str
) -> None:
    async with App(Registry(mortal.HANDLERS), short) as app:
        held = await app.enqueue_job(mortal.call)
        parked = await app.enqueue_job(mortal.call)
        await victim.has_started(held)

        victim.kill()
        async with serving(app):
            await parked.wait(WAIT_S)

    assert victim.lines() == run_twice_then(held, [parked])
    assert await own_keys_of_jobs(redis, prefix) == set()


async def test_a_killed_jobs_second_start_takes_a_second_turn_under_the_rate(short: Settings, victim: Mortal) -> None:
    """Two a minute: its two starts are both of them, so the next job is put off."""
    async with App(Registry(mortal.HANDLERS), short) as app:
        killed = await app.enqueue_job(mortal.rated)
        await victim.has_started(killed)

        victim.kill()
        async with serving(app):
            await killed.wait(WAIT_S)
            following = await app.enqueue_job(mortal.rated)
            with pytest.raises(TimeoutError):
                await following.wait(0.5)
            assert await app.queue().state(following.job_id) == "delayed"


async def test_a_killed_jobs_duplicates_are_refused_until_it_has_run_again(
    short: Settings, victim: Mortal, redis: Redis, prefix: str
) -> None:
    async with App(Registry(mortal.HANDLERS), short) as app:
        killed = await app.enqueue_job(mortal.charge, related=ORDER)
        await victim.has_started(killed)

        victim.kill()
        with pytest.raises(DuplicateJob):
            await app.enqueue_job(mortal.charge, related=ORDER)
        async with serving(app):
            await killed.wait(WAIT_S)
            await (await app.enqueue_job(mortal.charge, related=ORDER)).wait(WAIT_S)

    assert await own_keys_of_jobs(redis, prefix) == set()


async def test_a_killed_job_that_was_superseded_meanwhile_does_not_run_again(
    short: Settings, victim: Mortal, redis: Redis, prefix: str
) -> None:
    async with App(Registry(mortal.HANDLERS), short) as app:
        killed = await app.enqueue_job(mortal.sync)
        await victim.has_started(killed)

        victim.kill()
        newer = await app.enqueue_job(mortal.sync)
        async with serving(app):
            assert await killed.wait(WAIT_S) == {"superseded": True, "by": newer.job_id}
            await newer.wait(WAIT_S)

    assert victim.lines() == [("start", killed.job_id), ("start", newer.job_id), ("end", newer.job_id)]
    assert await own_keys_of_jobs(redis, prefix) == set()


async def test_a_killed_job_that_was_cancelled_meanwhile_does_not_run_again(short: Settings, victim: Mortal) -> None:
    async with App(Registry(mortal.HANDLERS), short) as app:
        killed = await app.enqueue_job(mortal.step)
        await victim.has_started(killed)

        victim.kill()
        await app.cancel_job(killed.job_id, "not wanted")
        async with serving(app):
            with pytest.raises(JobFailed, match=r"^Cancelled: not wanted$"):
                await killed.wait(WAIT_S)

    assert victim.lines() == [("start", killed.job_id)]


async def test_a_killed_singleton_takes_its_own_lock_over_and_others_are_skipped_until_then(
    short: Settings, victim: Mortal
) -> None:
    async with App(Registry(mortal.HANDLERS), short) as app:
        killed = await app.enqueue_job(mortal.clean)
        await victim.has_started(killed)
        other = await app.enqueue_job(mortal.clean)
        assert await other.wait(WAIT_S) == {"skipped": True, "holder": killed.job_id}

        victim.kill()
        async with serving(app):
            assert await killed.wait(WAIT_S) == killed.job_id

    assert victim.lines() == run_twice_then(killed)
