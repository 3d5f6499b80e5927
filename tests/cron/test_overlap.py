"""Overlap: what becomes of a slot while an earlier one of its cron job is unfinished."""

from __future__ import annotations

import asyncio
import json

import pytest
from redis.asyncio import Redis

from jobqueue import Discard, DuplicateJob, JobContext, fixed, make_job, make_singleton_job, make_superseding_job
from tests.conftest import MakeSettings
from tests.cron.slots import Site, at_work, far_row, overlap_key, skipped_for
from tests.patterns.working import Gate


async def test_a_slot_is_skipped_while_an_earlier_one_runs(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    gate = Gate()

    @make_job
    async def work(ctx: JobContext) -> str:
        await gate.wait()
        return "done"

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work")
        first = await made.slot(row)
        await gate.reached.wait()

        second = await made.slot(row)

        assert await made.ended(second) == skipped_for(first)
        gate.opened.set()
        assert await made.ended(first) == ("completed", '"done"')
        assert await made.ended(await made.slot(row)) == ("completed", '"done"')
        assert await overlap_key(redis, prefix, row.id) == {}


async def test_a_slot_is_skipped_while_an_earlier_one_waits_for_its_next_try(settings: MakeSettings) -> None:
    @make_job
    async def work(ctx: JobContext) -> None:
        raise RuntimeError("no route")

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work", backoff_ms=3_600_000)
        first = await made.slot(row)
        await made.is_in(first, "delayed")

        assert await made.ended(await made.slot(row)) == skipped_for(first)


async def test_a_trigger_runs_beside_a_slot_and_no_slot_is_skipped_for_a_trigger(settings: MakeSettings) -> None:
    gates = [Gate(), Gate()]
    ids: list[str] = []

    @make_job
    async def work(ctx: JobContext) -> None:
        ids.append(ctx.job.id)
        if len(ids) <= len(gates):
            await gates[len(ids) - 1].wait()

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work")
        trigger = await made.cron.trigger(row.id)
        await gates[0].reached.wait()
        first = await made.slot(row)
        await gates[1].reached.wait()
        another = await made.cron.trigger(row.id)

        assert await made.ended(another.job_id) == ("completed", "null")
        for gate in gates:
            gate.opened.set()
        assert await made.ended(first) == ("completed", "null")
        assert ids == [trigger.job_id, first, another.job_id]


async def test_slots_that_queue_all_run_one_after_another_in_the_order_of_their_times(settings: MakeSettings) -> None:
    gate = Gate()
    runs: list[str] = []

    @make_job
    async def work(ctx: JobContext) -> None:
        runs.append(f"start {ctx.job.id}")
        await gate.wait()
        runs.append(f"end {ctx.job.id}")

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work", overlap="queue")
        first = await made.slot(row, 1_000)
        await gate.reached.wait()
        third = await made.slot(row, 3_000)
        await made.is_in(third, "waiting-children")
        second = await made.slot(row, 2_000)
        await made.is_in(second, "waiting-children")

        gate.opened.set()

        assert await made.ended(third) == ("completed", "null")
        assert runs == [f"{what} {job}" for job in (first, second, third) for what in ("start", "end")]


async def test_a_slot_that_fails_for_good_lets_the_next_one_in_the_queue_go(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job
    async def work(ctx: JobContext) -> None:
        if not gate.opened.is_set():
            await gate.wait()
            raise Discard("no more")

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work", overlap="queue")
        first = await made.slot(row)
        await gate.reached.wait()
        second = await made.slot(row)
        await made.is_in(second, "waiting-children")

        gate.opened.set()

        assert await made.ended(first) == ("failed", "no more")
        assert await made.ended(second) == ("completed", "null")


async def test_slots_that_may_overlap_run_beside_each_other(settings: MakeSettings) -> None:
    both = asyncio.Barrier(2)

    @make_job
    async def work(ctx: JobContext) -> None:
        await both.wait()

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work", overlap="allow")
        first = await made.slot(row)
        await made.is_in(first, "active")

        second = await made.slot(row)

        assert await made.ended(first) == ("completed", "null")
        assert await made.ended(second) == ("completed", "null")


async def test_a_slot_that_is_retried_by_hand_keeps_others_from_running_beside_it(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job
    async def work(ctx: JobContext) -> None:
        if ctx.job.slot_ms == 1_000 and not ctx.job.stacktrace:
            raise RuntimeError("no route")
        await gate.wait()

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work", max_attempts=1)
        first = await made.slot(row, 1_000)
        assert (await made.ended(first))[0] == "failed"

        await made.app.retry_job(first)
        await gate.reached.wait()

        assert await made.ended(await made.slot(row)) == skipped_for(first)
        gate.opened.set()
        assert await made.ended(first) == ("completed", "null")


async def test_a_slot_is_not_retried_by_hand_while_another_one_runs(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job
    async def work(ctx: JobContext) -> None:
        if ctx.job.slot_ms == 1_000:
            raise RuntimeError("no route")
        await gate.wait()

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work", max_attempts=1)
        first = await made.slot(row, 1_000)
        assert (await made.ended(first))[0] == "failed"
        await made.slot(row)
        await gate.reached.wait()

        with pytest.raises(DuplicateJob):
            await made.app.retry_job(first)
        gate.opened.set()


async def test_a_skipped_slot_supersedes_nobody(settings: MakeSettings) -> None:
    gate = Gate()

    @make_superseding_job(dedupe_key=lambda _: "lane")
    async def work(ctx: JobContext) -> str:
        await gate.wait()
        return "done"

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work")
        first = await made.slot(row)
        await gate.reached.wait()

        assert await made.ended(await made.slot(row)) == skipped_for(first)
        gate.opened.set()
        assert await made.ended(first) == ("completed", '"done"')


async def test_slots_that_may_overlap_still_supersede_each_other(settings: MakeSettings) -> None:
    gate = Gate()

    @make_superseding_job(dedupe_key=lambda _: "lane", grace_ms=0)
    async def work(ctx: JobContext) -> str:
        if ctx.job.slot_ms == 1_000:
            await gate.wait()
        return "done"

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work", overlap="allow")
        first = await made.slot(row, 1_000)
        await gate.reached.wait()
        second = await made.slot(row)

        assert await made.ended(second) == ("completed", '"done"')
        assert json.loads((await made.ended(first))[1] or "") == {"superseded": True, "by": second}


async def test_a_slot_that_is_skipped_for_a_singletons_lock_keeps_no_other_from_running(settings: MakeSettings) -> None:
    gate = Gate()

    @make_singleton_job
    async def work(ctx: JobContext) -> str:
        await gate.wait()
        return "done"

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work")
        by_hand = await made.app.enqueue_job(work)
        await gate.reached.wait()
        assert await made.ended(await made.slot(row)) == skipped_for(by_hand.job_id)

        gate.opened.set()

        assert await made.ended(by_hand.job_id) == ("completed", '"done"')
        assert await made.ended(await made.slot(row)) == ("completed", '"done"')


async def slots_left(made: Site) -> int:
    count: int = await made.app.client.call("ZCARD", made.app.queue().keys.of("delayed"))
    return count


async def test_each_slot_is_followed_by_the_next_one_though_it_is_skipped(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job(backoff=fixed(10))
    async def work(ctx: JobContext) -> None:
        await gate.wait()

    async with at_work(settings(), work) as made:
        row = await far_row(made, "work")
        await made.slot(row)
        await gate.reached.wait()
        await made.ended(await made.slot(row))

        assert await slots_left(made) == 1
        gate.opened.set()
