"""`subscribe`: the outcome of every try, for one job, for a handler, and for the jobs that are about one object."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, JobqueueError, Registry, fixed, make_job, make_superseding_job
from jobqueue.app import close_default_app, set_default_app, subscribe
from jobqueue.job import Keep
from jobqueue.subscriptions import JobOutcome
from tests.conftest import MakeSettings
from tests.subscribing import take
from tests.worker.harness import add_raw, ask, at_work, keys_of


@make_job(attempts=3, backoff=fixed(5))
async def charge(ctx: JobContext, payload: str) -> str:
    """Fails at its first try, and at every one for "nobody"; then it asks for a receipt."""
    if ctx.job.attempt == 1 or payload == "nobody":
        raise RuntimeError(f"the card of {payload} was refused")
    await ctx.enqueue_job(receipt, payload)
    return f"{payload} has paid"


@make_job
async def receipt(ctx: JobContext, payload: str) -> str:
    return f"dear {payload}"


@make_job(keep_completed=Keep(count=0))
async def forget(ctx: JobContext) -> str:
    return "nothing stays of this job"


HANDLERS = (charge, receipt, forget)


def told(outcome: JobOutcome) -> tuple[str, int | None, object]:
    """An outcome in short: its state, the try, and what came of it."""
    return outcome.state, outcome.attempt, outcome.failed_reason or outcome.result


REFUSED = ("retried", 1, "the card of ann was refused")
PAID = ("completed", 2, "ann has paid")


async def test_a_subscriber_by_id_is_told_of_the_failure_with_its_error_and_then_of_the_success(
    settings: MakeSettings,
) -> None:
    async with at_work(settings(), *HANDLERS) as site, site.app.subscribe(job_id="order-7") as outcomes:
        await site.app.enqueue_job(charge, "bob")
        await site.app.enqueue_job(charge, "ann", job_id="order-7")

        both = await take(outcomes, 2)

    assert list(map(told, both)) == [REFUSED, PAID]
    assert {(one.job_id, one.name, one.queue) for one in both} == {("order-7", "charge", "jobs")}


async def test_a_subscriber_by_handler_is_told_of_each_of_its_jobs_and_of_no_other(settings: MakeSettings) -> None:
    async with (
        at_work(settings(), *HANDLERS) as site,
        site.app.subscribe(handler=charge) as charged,
        site.app.subscribe(handler="receipt") as receipts,
    ):
        job = await site.app.enqueue_job(charge, "ann")

        assert list(map(told, await take(charged, 2))) == [REFUSED, PAID]
        (added,) = await take(receipts, 1)

    assert told(added) == ("completed", 1, "dear ann")
    assert (added.name, added.job_id == job.job_id) == ("receipt", False)


async def test_a_subscriber_by_related_object_is_told_of_the_jobs_about_it(settings: MakeSettings) -> None:
    async with at_work(settings(), *HANDLERS) as site, site.app.subscribe(related=("order", "7")) as outcomes:
        await site.app.enqueue_job(receipt, "bob", related=("order", "8"))
        await site.app.enqueue_job(receipt, "cid")
        await site.app.enqueue_job(receipt, "dan", related=("user", "7"))
        await site.app.enqueue_job(charge, "ann", related=("order", "7"))
        await site.app.enqueue_job(receipt, "ann", related=("order", "7"))

        three = await take(outcomes, 3)

    assert sorted(map(told, three), key=str) == [("completed", 1, "dear ann"), PAID, REFUSED]


async def test_jobs_that_were_enqueued_before_are_recognised_by_handler_and_by_object(settings: MakeSettings) -> None:
    ours = settings()
    async with App(Registry(HANDLERS), ours) as app:
        for name, number in (("bob", "8"), ("ann", "7")):
            await app.enqueue_job(receipt, name, related=("order", number))
        async with (
            app.subscribe(handler=receipt) as receipts,
            app.subscribe(related=("order", "7")) as about_7,
            at_work(ours, *HANDLERS),
        ):
            assert sorted(str(one.result) for one in await take(receipts, 2)) == ["dear ann", "dear bob"]
            assert [one.result for one in await take(about_7, 1)] == ["dear ann"]


async def test_a_job_that_is_enqueued_after_entering_is_never_missed(settings: MakeSettings) -> None:
    async with at_work(settings(), *HANDLERS) as site:
        for number in range(30):
            async with site.app.subscribe(handler=receipt) as outcomes:
                await site.app.enqueue_job(receipt, str(number))

                assert [one.result for one in await take(outcomes, 1)] == [f"dear {number}"]


async def test_what_ended_before_entering_is_not_told_though_it_is_read_only_then(
    settings: MakeSettings, redis: Redis
) -> None:
    ours = settings()
    events = keys_of(ours).of("events")
    async with App(Registry(HANDLERS), ours) as app, app.subscribe(handler=receipt):
        for number in range(30):
            failed = ("event", "attempt-failed", "name", "receipt", "jobId")
            await ask(redis, "XADD", events, "*", *failed, f"before-{number}")
            async with app.subscribe(handler=receipt) as outcomes:
                await ask(redis, "XADD", events, "*", *failed, f"after-{number}")

                assert [one.job_id for one in await take(outcomes, 1)] == [f"after-{number}"]


async def test_a_job_that_fails_for_good_is_told_with_each_of_its_tries(settings: MakeSettings) -> None:
    async with at_work(settings(), *HANDLERS) as site, site.app.subscribe(handler=charge) as outcomes:
        await site.app.enqueue_job(charge, "nobody")
        tries = await take(outcomes, 3)

    assert [(one.state, one.attempt, one.delay_ms) for one in tries] == [
        ("retried", 1, 5),
        ("retried", 2, 5),
        ("failed", 3, None),
    ]
    assert {one.failed_reason for one in tries} == {"the card of nobody was refused"}
    assert [one.is_final for one in tries] == [False, False, True]
    assert sorted(one.at_ms for one in tries) == [one.at_ms for one in tries]


async def test_a_superseded_job_is_told_as_a_completion_that_says_so(settings: MakeSettings) -> None:
    sync = make_superseding_job(receipt.function, name="sync", dedupe_key=str)
    ours = settings()
    async with App(Registry([sync]), ours) as app, app.subscribe(handler=sync) as outcomes:
        await app.enqueue_job(sync, "ann")
        newer = await app.enqueue_job(sync, "ann")
        async with at_work(ours, sync):
            results = [one.result for one in await take(outcomes, 2)]

    assert results == [{"superseded": True, "by": newer.job_id}, "dear ann"]


async def test_a_job_that_is_removed_when_it_completes_is_told_by_handler_without_its_number(
    settings: MakeSettings,
) -> None:
    async with at_work(settings(), *HANDLERS) as site, site.app.subscribe(handler=forget) as outcomes:
        await site.app.enqueue_job(forget)
        (only,) = await take(outcomes, 1)

    assert (only.name, only.attempt, only.result) == ("forget", None, "nothing stays of this job")


async def test_two_subscriptions_are_each_told_once_and_one_that_leaves_takes_nothing_from_the_other(
    settings: MakeSettings,
) -> None:
    async with at_work(settings(), *HANDLERS) as site, site.app.subscribe(handler=receipt) as first:
        async with site.app.subscribe(handler=receipt) as second:
            await site.app.enqueue_job(receipt, "ann")
            assert [one.result for one in await take(second, 1)] == ["dear ann"]
        await site.app.enqueue_job(receipt, "bob")

        assert [one.result for one in await take(first, 2)] == ["dear ann", "dear bob"]


async def test_a_subscription_listens_in_the_queue_that_its_handler_is_routed_to(settings: MakeSettings) -> None:
    mail = make_job(receipt.function, name="mail", queue="mail")
    async with at_work(settings(), mail, receipt) as site, site.app.subscribe(handler=mail) as outcomes:
        await site.app.enqueue_job(receipt, "ann")
        await site.app.enqueue_job(mail, "bob")
        (only,) = await take(outcomes, 1)

    assert (only.queue, only.name, only.result) == ("mail", "mail", "dear bob")


async def test_the_function_of_the_module_subscribes_with_the_default_app(settings: MakeSettings) -> None:
    async with at_work(settings(), *HANDLERS) as site:
        set_default_app(site.app)
        try:
            async with subscribe(handler=receipt) as outcomes:
                await site.app.enqueue_job(receipt, "ann")
                assert [one.result for one in await take(outcomes, 1)] == ["dear ann"]
        finally:
            await close_default_app()


async def test_the_iteration_ends_when_the_block_is_left(settings: MakeSettings) -> None:
    async with App(Registry(HANDLERS), settings()) as app:
        async with app.subscribe(handler=receipt) as outcomes:
            reading = asyncio.ensure_future(anext(outcomes, None))
            await asyncio.wait({reading}, timeout=0.05)  # it waits for an outcome by then

        assert await asyncio.wait_for(reading, 5) is None
        assert [one async for one in outcomes] == []


async def test_a_subscription_is_entered_once_and_before_it_is_read(settings: MakeSettings) -> None:
    async with App(Registry(HANDLERS), settings()) as app:
        outcomes = app.subscribe(handler=receipt)
        with pytest.raises(JobqueueError, match="enter the subscription first"):
            await anext(outcomes)
        async with outcomes:
            with pytest.raises(JobqueueError, match="entered once"):
                await outcomes.__aenter__()
        with pytest.raises(JobqueueError, match="entered once"):
            await outcomes.__aenter__()


async def test_several_tasks_may_share_a_subscription_and_each_outcome_goes_to_one(settings: MakeSettings) -> None:
    async with at_work(settings(), *HANDLERS) as site, site.app.subscribe(handler=receipt) as outcomes:
        sharing = asyncio.gather(*(take(outcomes, 5) for _ in range(4)))
        await site.app.enqueue_jobs([(receipt, str(number)) for number in range(20)])
        shares = await sharing

    results = [str(one.result) for share in shares for one in share]
    assert sorted(results) == sorted(f"dear {number}" for number in range(20))


async def test_a_job_whose_data_cannot_be_read_is_about_nothing_and_holds_nobody_up(
    settings: MakeSettings, redis: Redis
) -> None:
    ours = settings()
    async with at_work(ours, *HANDLERS) as site, site.app.subscribe(related=("order", "7")) as outcomes:
        for number, data in enumerate(("{", "[1]", '{"type":"adhoc","related":["order","7"]}')):
            await add_raw(redis, keys_of(ours), f"odd-{number}", {"name": "receipt", "data": data})
        await site.app.enqueue_job(receipt, "ann", related=("order", "7"))

        assert [one.result for one in await take(outcomes, 1)] == ["dear ann"]
