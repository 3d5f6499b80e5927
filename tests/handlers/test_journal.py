"""One event per try, and the breaker, on both databases."""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from handlers.webhooks import subscriptions
from handlers.webhooks.journal import KEEP_DAYS, EventStatus, Try, record_try
from handlers.webhooks.models import WebhookEvent
from handlers.webhooks.subscriptions import Subscription
from jobqueue.database import Database
from tests.handlers.conftest import Subscribe

URL = "http://127.0.0.1:9/hook"
DAY_MS = 24 * 60 * 60 * 1_000


def a_try(subscription_id: str, status: EventStatus, *, attempt: int = 1, error: str | None = None) -> Try:
    return Try(
        subscription_id=subscription_id,
        job_id="7",
        attempt=attempt,
        body_id="b" * 36,
        action="update",
        resource_id="r1",
        status=status,
        error=error,
    )


def failures(number: int) -> list[EventStatus]:
    return ["error"] * number


async def record_all(database: Database, subscription: Subscription, *statuses: EventStatus) -> list[bool]:
    return [await record_try(database, a_try(subscription.id, status)) for status in statuses]


async def reread(database: Database, subscription: Subscription) -> Subscription:
    found = await subscriptions.find(database, subscription.id)
    assert found is not None
    return found


async def events(database: Database) -> list[WebhookEvent]:
    async with database.transaction() as session:
        return list(await session.scalars(select(WebhookEvent).order_by(WebhookEvent.id)))


async def test_each_try_leaves_one_event_that_says_what_happened(database: Database, subscribe: Subscribe) -> None:
    subscription = await subscribe(URL)

    await record_try(database, a_try(subscription.id, "unreachable", error="500"), now_ms=1_700_000_000_000)
    await record_try(database, a_try(subscription.id, "success", attempt=2), now_ms=1_700_000_000_001)

    first, second = await events(database)
    assert (first.status, first.error, first.attempt, first.action) == ("unreachable", "500", 1, "update")
    assert (second.status, second.error, second.attempt, second.resource_id) == ("success", None, 2, "r1")
    assert first.body_id == second.body_id == "b" * 36
    assert first.created_at.isoformat() == "2023-11-14T22:13:20+00:00"


async def test_events_go_when_they_are_old_and_those_of_other_subscriptions_stay(
    database: Database, subscribe: Subscribe
) -> None:
    subscription, other = await subscribe(URL), await subscribe(URL)
    now_ms = 1_700_000_000_000
    for one, age_days in ((subscription, KEEP_DAYS + 1), (subscription, KEEP_DAYS - 1), (other, KEEP_DAYS + 1)):
        await record_try(database, a_try(one.id, "success"), now_ms=now_ms - age_days * DAY_MS)

    await record_try(database, a_try(subscription.id, "success"), now_ms=now_ms)

    ages = [(now_ms - event.created_at.timestamp() * 1000) / DAY_MS for event in await events(database)]
    assert sorted(ages) == [0, KEEP_DAYS - 1, KEEP_DAYS + 1]


async def test_an_error_is_cut_and_freed_of_characters_that_a_database_refuses(
    database: Database, subscribe: Subscribe
) -> None:
    subscription = await subscribe(URL)

    await record_try(database, a_try(subscription.id, "error", error="a\x00b\r\nc" + "x" * 10_000))

    (event,) = await events(database)
    assert event.error is not None
    assert event.error.startswith("a b  cxxx")
    assert len(event.error) == 500


async def test_the_fifth_failure_in_a_row_disables_and_says_so_once(database: Database, subscribe: Subscribe) -> None:
    subscription = await subscribe(URL)

    disabled = await record_all(
        database, subscription, "unreachable", "error", "unreachable", "unreachable", "error", "error"
    )

    assert disabled == [False, False, False, False, True, False]
    assert not (await reread(database, subscription)).is_active


async def test_four_failures_leave_it_active(database: Database, subscribe: Subscribe) -> None:
    subscription = await subscribe(URL)

    await record_all(database, subscription, *failures(4))

    assert (await reread(database, subscription)).is_active


async def test_a_success_between_failures_starts_the_count_again(database: Database, subscribe: Subscribe) -> None:
    subscription = await subscribe(URL)

    await record_all(database, subscription, *failures(3), "success", *failures(4))

    after = await reread(database, subscription)
    assert (after.is_active, after.consecutive_failures) == (True, 4)


async def test_enabling_starts_the_count_again_so_that_one_failure_does_not_disable(
    database: Database, subscribe: Subscribe
) -> None:
    subscription = await subscribe(URL)
    await record_all(database, subscription, *failures(5))

    enabled = await subscriptions.enable(database, subscription.id)
    await record_all(database, subscription, "error")

    after = await reread(database, subscription)
    assert (enabled.is_active, enabled.consecutive_failures) == (True, 0)
    assert (after.is_active, after.consecutive_failures) == (True, 1)


async def test_a_success_does_not_enable_what_was_disabled(database: Database, subscribe: Subscribe) -> None:
    subscription = await subscribe(URL)

    await record_all(database, subscription, *failures(5), "success")

    assert not (await reread(database, subscription)).is_active


async def test_of_many_failures_at_once_none_is_lost_and_one_disables(database: Database, subscribe: Subscribe) -> None:
    """Read, add one, write: two tries at once would count as one."""
    subscription = await subscribe(URL)

    disabled = await asyncio.gather(*(record_try(database, a_try(subscription.id, "error")) for _ in range(20)))

    assert disabled.count(True) == 1
    assert (await reread(database, subscription)).consecutive_failures == 20
    assert len(await events(database)) == 20


async def test_a_try_of_a_subscription_that_was_deleted_meanwhile_leaves_nothing(database: Database) -> None:
    assert await record_try(database, a_try("gone", "error")) is False

    assert await events(database) == []
