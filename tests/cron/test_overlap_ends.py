"""Overlap, where the earlier slot fails, is cancelled, removed, ended by Node or killed: the next one runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobqueue import Discard, JobContext, make_job
from tests.conftest import MakeSettings
from tests.cron.slots import at_work, far_row, site, skipped_for
from tests.interop.node_peer import NodePeer
from tests.patterns.working import Gate, serving
from tests.support.eventually import eventually
from tests.worker.crew import crew_in
from tests.worker.programs import crew


async def fail(ctx: JobContext) -> None:
    raise RuntimeError("no route")


async def discard(ctx: JobContext) -> None:
    raise Discard("no route")


async def take_too_long(ctx: JobContext) -> None:
    await ctx.signal.wait()


async def return_what_cannot_be_stored(ctx: JobContext) -> object:
    return object()


@pytest.mark.parametrize("overlap", ["skip", "queue", "allow"])
@pytest.mark.parametrize("body", [fail, discard, take_too_long, return_what_cannot_be_stored])
async def test_the_next_slot_runs_however_the_last_one_failed(
    settings: MakeSettings, body: Callable[[JobContext], object], overlap: str
) -> None:
    handler = make_job(body, name="work", timeout_ms=50)
    async with at_work(settings(), handler) as made:
        row = await far_row(made, "work", max_attempts=1, overlap=overlap)
        assert (await made.ended(await made.slot(row)))[0] == "failed"

        state, reason = await made.ended(await made.slot(row))
        assert state == "failed", f"it was not to be skipped, but {reason}"


async def test_a_slot_that_was_cancelled_while_it_ran_lets_the_next_one_run(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job(grace_ms=0)
    async def work(ctx: JobContext) -> str:
        await gate.wait()
        return "done"

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work")
        first = await made.slot(row)
        await gate.reached.wait()

        await made.app.cancel_job(first, "not today")

        assert await made.ended(first) == ("failed", "Cancelled: not today")
        gate.opened.set()
        assert await made.ended(await made.slot(row)) == ("completed", '"done"')


async def test_a_slot_that_was_removed_by_hand_lets_the_next_one_run(settings: MakeSettings, redis_url: str) -> None:
    @make_job
    async def work(ctx: JobContext) -> str:
        if ctx.job.attempt == 1 and ctx.job.slot_ms == 1_000:
            raise RuntimeError("no route")
        return "done"

    made_settings = settings()
    async with at_work(made_settings, work) as made, NodePeer(redis_url, made_settings.jobs_prefix) as node:
        row = await far_row(made, "work", backoff_ms=3_600_000)
        first = await made.slot(row, 1_000)
        await made.is_in(first, "delayed")
        assert await made.ended(await made.slot(row)) == skipped_for(first)

        await node.remove(first)

        assert await made.ended(await made.slot(row)) == ("completed", '"done"')


async def test_a_slot_that_a_node_worker_ended_lets_the_next_one_run(settings: MakeSettings, redis_url: str) -> None:
    """A Node worker gives back nothing of ours: that its job has finished is what counts."""

    @make_job
    async def work(ctx: JobContext) -> str:
        if ctx.job.slot_ms == 1_000:
            raise RuntimeError("no route")
        return "done"

    made_settings = settings()
    async with site(made_settings, work) as made, NodePeer(redis_url, made_settings.jobs_prefix) as node:
        row = await far_row(made, "work", backoff_ms=3_600_000)
        async with serving(made.app):
            first = await made.slot(row, 1_000)
            await made.is_in(first, "delayed")
        await node.start_worker("value", {"value": "by Node"})
        await node.promote(first)
        assert await made.ended(first) == ("completed", '"by Node"')
        await node.stop_worker()

        async with serving(made.app):
            assert await made.ended(await made.slot(row)) == ("completed", '"done"')


@pytest.mark.parametrize("overlap", ["skip", "queue"])
async def test_a_slot_whose_worker_is_killed_is_redelivered_and_never_skipped(
    settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overlap: str
) -> None:
    short = settings(worker_lock_ms=1_000, worker_stalled_ms=100)
    monkeypatch.setenv("DATABASE_URL", short.database_url)
    with crew_in(tmp_path) as crew_of_one:
        monkeypatch.setenv("LEDGER", str(crew_of_one.ledger))
        async with site(short, crew.work) as made:
            row = await far_row(made, "work", payload=600_000, overlap=overlap)
            victim = crew_of_one.start(short)
            first = await made.slot(row, 1_000)
            await crew_of_one.have_started(1)
            second = await made.slot(row, 2_000)
            if overlap == "skip":
                assert await made.ended(second) == skipped_for(first)
            else:
                await made.is_in(second, "waiting-children")

            victim.kill()
            victim.wait(10)
            async with serving(made.app):
                assert (await made.ended(first))[0] == "completed"
                assert crew_of_one.runs()[first] == 2
                if overlap == "queue":
                    await eventually(lambda: crew_of_one.runs()[second] == 1, 20)
                    await made.app.cancel_job(second)


async def test_a_cron_job_that_kills_its_process_is_quarantined_and_its_next_slot_runs(
    settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BullMQ exempts the jobs of schedulers from its limit of stalls: a nightly job killed one worker after another."""
    short = settings(worker_lock_ms=1_000, worker_stalled_ms=100)
    monkeypatch.setenv("DATABASE_URL", short.database_url)
    harmless = make_job(survive, name="crash", max_claims=2)
    with crew_in(tmp_path) as victims:
        async with site(short, harmless) as made:
            row = await far_row(made, "crash")
            first = await made.slot(row)
            for claim in (1, 2):
                victim = victims.start(short)
                await victims.have_started(claim)
                assert victim.wait(10) == 7

            async with serving(made.app):
                reason = "quarantined: 2 workers died or stalled while they ran it"
                assert await made.ended(first) == ("failed", reason)
                assert victims.runs()[first] == 2
                await made.row_says(row, "failed", first)
                assert await made.ended(await made.slot(row)) == ("completed", '"survived"')


async def survive(ctx: JobContext) -> str:
    return "survived"
