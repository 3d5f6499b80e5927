"""What is enqueued: found, matched by a part or the whole of its payload, and told of where it is not as wanted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobqueue import InvalidPayload, UnknownHandler, enqueue_job, make_job
from jobqueue.context import JobContext
from jobqueue.testing import Jobs, KitError
from tests.testing.shop import Order, again, order, send_mail


async def test_a_job_is_found_by_the_part_or_the_whole_of_its_payload(jobs: Jobs) -> None:
    enqueued = await enqueue_job(send_mail, order("7"))
    await enqueue_job(send_mail, order("8"), delay_ms=5000, queue="slow", priority=3, related=("order", "8"))

    found = await jobs.assert_enqueued(send_mail, {"orderId": "7"}, count=1)
    assert (found.job_id, found.state, found.payload) == (
        enqueued.job_id,
        "waiting",
        {"orderId": "7", "placed_at": "2026-01-01T00:00:00Z"},
    )
    later = await jobs.assert_enqueued("sendMail", order("8"), queue="slow", delay_ms=5000)
    assert (later.run_at - later.enqueued_at, later.priority, later.related) == (
        timedelta(seconds=5),
        3,
        ("order", "8"),
    )
    await jobs.assert_enqueued(send_mail, run_at=jobs.clock.now() + timedelta(seconds=5))
    await jobs.assert_enqueued(send_mail, count=2)
    await jobs.assert_not_enqueued(send_mail, {"orderId": "9"})
    await jobs.assert_not_enqueued(send_mail, order("7"), queue="slow")
    await jobs.assert_not_enqueued(again)


async def test_a_failure_tells_what_is_enqueued_instead_and_how_the_nearest_differs(jobs: Jobs) -> None:
    await enqueue_job(again)
    await enqueue_job(send_mail, order("7"), delay_ms=1000)
    at = (jobs.clock.now() + timedelta(seconds=1)).isoformat()

    with pytest.raises(AssertionError) as raised:
        await jobs.assert_enqueued(send_mail, {"orderId": "8"}, queue="slow", delay_ms=0, run_at=jobs.clock.now())

    assert str(raised.value).splitlines() == [
        'no job of sendMail with {"orderId":"8"} in its payload, queue \'slow\', delay_ms 0, '
        f"run_at {jobs.clock.now().isoformat()} is enqueued",
        "enqueued:",
        "  again 1 in 'jobs', waiting: null",
        f"  sendMail 2 in 'jobs', delayed until {at}: " + '{"orderId":"7","placed_at":"2026-01-01T00:00:00Z"}',
        "the nearest is sendMail 2, which differs:",
        '  payload.orderId: wanted "8", it has "7"',
        "  queue: wanted 'slow', it is in 'jobs'",
        "  delay_ms: wanted 0, it has 1000",
        f"  run_at: wanted {jobs.clock.now().isoformat()}, it has {at}",
    ]


async def test_a_failure_tells_that_nothing_is_enqueued_or_that_it_was_drained(jobs: Jobs) -> None:
    with pytest.raises(AssertionError) as raised:
        await jobs.assert_enqueued(send_mail)
    assert str(raised.value) == "no job of sendMail is enqueued\nnothing is enqueued"

    await enqueue_job(send_mail, order("7"))
    await jobs.drain()
    with pytest.raises(AssertionError) as raised:
        await jobs.assert_enqueued(send_mail)
    assert str(raised.value).splitlines()[-1] == "drained before, and so not enqueued any more: sendMail 1"


async def test_a_failure_tells_how_many_there_are(jobs: Jobs) -> None:
    await enqueue_job(again)
    with pytest.raises(AssertionError, match="wanted 2 of again, enqueued is 1\nenqueued:\n  again 1 in 'jobs'"):
        await jobs.assert_enqueued(again, count=2)
    with pytest.raises(AssertionError, match="wanted no job of again\nenqueued:\n  again 1 in 'jobs'"):
        await jobs.assert_not_enqueued(again)


async def test_parts_are_compared_as_json_also_inside_objects_and_lists(jobs: Jobs) -> None:
    @make_job(name="loose")
    async def loose(ctx: JobContext, payload: dict[str, object]) -> None: ...

    await enqueue_job(loose, {"lines": [{"sku": "a", "count": 1}], "is_gift": True, "note": "x"})

    await jobs.assert_enqueued(loose, {"lines": [{"sku": "a"}]})
    with pytest.raises(AssertionError) as raised:
        await jobs.assert_enqueued(loose, {"lines": [{"sku": "b"}], "is_gift": 1, "colour": "red"})
    assert str(raised.value).splitlines()[-3:] == [
        '  payload.lines.0.sku: wanted "b", it has "a"',
        "  payload.is_gift: wanted 1, it has true",
        '  payload.colour: wanted "red", it has none',
    ]


async def test_what_can_never_match_is_refused_instead_of_agreed_to(jobs: Jobs) -> None:
    with pytest.raises(UnknownHandler, match="sendMial"):
        await jobs.assert_not_enqueued("sendMial")
    with pytest.raises(KitError) as refused:
        await jobs.assert_not_enqueued(send_mail, {"order_id": "7"})
    assert str(refused.value) == (
        "no payload of sendMail has a field 'order_id'; in JSON its fields are: orderId, placed_at"
    )
    with pytest.raises(KitError, match="has a field 'x'; in JSON its fields are: none"):
        await jobs.assert_not_enqueued(again, {"x": 1})
    with pytest.raises(InvalidPayload, match="payload of 'sendMail' is not valid"):
        await jobs.assert_not_enqueued("sendMail", 7)
    with pytest.raises(KitError, match="count: at least 1, not 0"):
        await jobs.assert_enqueued(send_mail, count=0)


async def test_a_handler_of_another_registry_with_a_known_name_is_refused(jobs: Jobs) -> None:
    async def impostor(ctx: JobContext, payload: Order) -> None: ...

    with pytest.raises(KitError) as refused:
        await jobs.enqueued(make_job(impostor, name="sendMail"))
    assert str(refused.value) == (
        "the registry of this test has another handler named 'sendMail': tests.testing.shop.send_mail, not "
        "tests.testing.test_enqueued.test_a_handler_of_another_registry_with_a_known_name_is_refused.<locals>.impostor"
    )


async def test_a_handler_that_only_another_service_runs_may_be_enqueued_and_found(jobs: Jobs) -> None:
    @make_job(name="elsewhere")
    async def elsewhere(ctx: JobContext) -> None: ...

    await enqueue_job(elsewhere)

    await jobs.assert_enqueued(elsewhere)
    await jobs.assert_enqueued("elsewhere")
