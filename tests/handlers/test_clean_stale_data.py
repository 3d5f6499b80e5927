"""cleanStaleData: on a real table, in SQLite and in PostgreSQL, without a worker."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

import pytest
from sqlalchemy import select, text

from handlers.clean_stale_data import StaleDataCleaned, clean_stale_data
from handlers.migrations import FOLDER
from handlers.stale_rows import BATCH, PROTECTED, CannotClean
from handlers.webhooks.models import WebhookEvent, WebhookSubscription
from jobqueue.context import AbortReason, JobContext, Resources
from jobqueue.cron.table import CronJobRow, CronSeed
from jobqueue.database import Database, new_id, open_database
from jobqueue.errors import InvalidPayload, JobCancelled
from jobqueue.upgrades import upgrade
from tests.handlers.conftest import Subscribe
from tests.handlers.support.contexts import new_context, new_job
from tests.handlers.support.table import (
    add_readings,
    add_visits,
    ages_left,
    clean_with,
    count_readings,
    count_visits,
    create_tables,
)

ADA = UUID("00000000-0000-0000-0000-0000000000ad")


class Clean(Protocol):
    """Run the handler with a payload as it comes from JSON."""

    async def __call__(self, **payload: object) -> StaleDataCleaned: ...


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    """A service's own tables, and none of ours."""
    async with open_database(database_url) as opened:
        await create_tables(opened)
        yield opened


@pytest.fixture
def clean(database: Database) -> Clean:
    async def run(**payload: object) -> StaleDataCleaned:
        return await clean_with(new_context(new_job(), Resources(database)), payload)

    return run


async def test_rows_of_91_days_go_and_rows_of_89_stay_at_90(clean: Clean, database: Database) -> None:
    await add_visits(database, [91, 89, 1, 400])

    result = await clean(table="visit", retentionDays=90)

    assert await ages_left(database) == [1, 89]
    assert (result.table, result.deleted) == ("visit", 2)
    assert datetime.now(UTC) - datetime.fromisoformat(result.older_than) - timedelta(days=90) < timedelta(minutes=1)


async def test_a_table_without_stale_rows_is_left_as_it_is(clean: Clean, database: Database) -> None:
    await add_visits(database, [1, 2])

    assert (await clean(table="visit", retentionDays=90)).deleted == 0

    assert await count_visits(database) == 2


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"page": "/old"}, 3),
        ({"page": ["/old", "/", "/none"]}, 0),
        ({"is_robot": True}, 3),
        ({"price": 7.25}, 3),
        ({"visitor": ADA.hex}, 3),
        ({"visitor": None}, 1),
        ({"note": None, "page": "/old"}, 4),
        ({"note": "x", "page": "/old"}, 3),
        ({"id": 2}, 3),
        ({"page": "/none"}, 4),
        ({}, 0),
    ],
)
async def test_filters_are_honoured(clean: Clean, database: Database, filters: dict[str, object], left: int) -> None:
    old = {"page": "/old", "is_robot": True, "price": Decimal("7.25"), "visitor": ADA, "note": "x"}
    await add_visits(database, [100, 100, 100])
    await add_visits(database, [100], **old)

    await clean(table="visit", retentionDays=90, filters=filters)

    assert await count_visits(database) == left


@pytest.mark.parametrize("time_column", ["noted_at", "day", "created_at"])
async def test_the_age_is_read_from_the_column_that_is_named(
    clean: Clean, database: Database, time_column: str
) -> None:
    await add_visits(database, [91.5, 88.5])

    await clean(table="visit", retentionDays=90, timeColumn=time_column)

    assert await count_visits(database) == 1


async def test_a_date_is_old_when_its_whole_day_is(clean: Clean, database: Database) -> None:
    await add_visits(database, [89, 90, 91])

    await clean(table="visit", retentionDays=90, timeColumn="day")

    assert await ages_left(database) == [89, 90]


async def test_a_column_with_a_javascript_name_is_found_by_itself(clean: Clean, database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text('CREATE TABLE "Order Line" (id INTEGER PRIMARY KEY, "createdAt" TIMESTAMP)'))
        await session.execute(text("""INSERT INTO "Order Line" VALUES (1, '2020-01-01 00:00:00'), (2, NULL)"""))

    assert (await clean(table="Order Line", retentionDays=1)).deleted == 1


async def test_many_rows_go_in_batches_with_progress(clean: Clean, database: Database) -> None:
    await add_visits(database, [100] * (2 * BATCH + 1))
    progress: list[object] = []
    context = new_context(new_job(), Resources(database), on_progress=progress.append)

    result = await clean_with(context, {"table": "visit", "retentionDays": 90})

    assert result.deleted == 2 * BATCH + 1
    assert progress == [{"deleted": BATCH}, {"deleted": 2 * BATCH}, {"deleted": 2 * BATCH + 1}]


async def test_a_key_of_several_parts_tells_rows_apart(clean: Clean, database: Database) -> None:
    await add_readings(database, BATCH + 200, age_in_days=100)
    await add_readings(database, 10, age_in_days=1)

    assert (await clean(table="reading", retentionDays=90)).deleted == BATCH + 200

    assert await count_readings(database) == 10


async def test_rows_that_stay_in_between_do_not_end_it(clean: Clean, database: Database) -> None:
    for age_in_days in (100, 1, 100):
        await add_visits(database, [age_in_days] * (BATCH // 2 + 1))

    assert (await clean(table="visit", retentionDays=90)).deleted == BATCH + 2

    assert await count_visits(database) == BATCH // 2 + 1


async def test_a_run_that_is_told_to_stop_ends_between_two_batches(clean: Clean, database: Database) -> None:
    await add_visits(database, [100] * (2 * BATCH))
    context = new_context(new_job(), Resources(database), on_progress=lambda _value: cancel(context))

    with pytest.raises(JobCancelled, match="no longer wanted"):
        await clean_with(context, {"table": "visit", "retentionDays": 90})

    assert await count_visits(database) == BATCH


def cancel(context: JobContext) -> None:
    context.signal.abort(AbortReason("cancelled", "no longer wanted"))


async def test_the_journal_of_webhooks_can_be_cleaned_and_its_subscriptions_stay(
    clean: Clean, database: Database, subscribe: Subscribe, database_url: str
) -> None:
    await upgrade(database_url, [FOLDER])
    subscription = await subscribe("http://127.0.0.1:1/hook")
    async with database.transaction() as session:
        session.add_all(an_event(subscription.id, age_days) for age_days in (1, 100))

    assert (await clean(table="webhook_event", retentionDays=30)).deleted == 1

    async with database.transaction() as session:
        assert len((await session.scalars(select(WebhookEvent))).all()) == 1
        assert len((await session.scalars(select(WebhookSubscription))).all()) == 1


def an_event(subscription_id: str, age_days: int) -> WebhookEvent:
    return WebhookEvent(
        id=new_id(),
        subscription_id=subscription_id,
        job_id="1",
        attempt=1,
        body_id="b",
        action="create",
        resource_id="r",
        status="success",
        created_at=datetime.now(UTC) - timedelta(days=age_days),
    )


# Refused, once


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({"table": "visits"}, "no table 'visits'"),
        ({"table": "VISIT"}, "no table 'VISIT'"),
        ({"table": "visit; DROP TABLE visit"}, "no table"),
        ({"table": "pg_class"}, "no table 'pg_class'"),
        ({"table": "sqlite_master"}, "no table 'sqlite_master'"),
        ({"table": "webhook_subscription"}, "holds no data that grows stale"),
        ({"table": "alembic_version"}, "holds no data that grows stale"),
        ({"table": "keyless"}, "no primary key"),
        ({"table": "timeless"}, "timeColumn: must be given"),
        ({"timeColumn": "updated_at"}, "timeColumn: table 'visit' has no column 'updated_at'; it has created_at, day"),
        ({"timeColumn": "page"}, "timeColumn: 'page' must be a date"),
        ({"timeColumn": "1=1 OR day"}, "no column '1=1 OR day'"),
        ({"filters": {"1=1": 1}}, "filters: table 'visit' has no column '1=1'"),
        ({"filters": {"price": "cheap"}}, r"filters\.price: .* not 'cheap'"),
        ({"filters": {"page": 5}}, r"filters\.page: .* not 5"),
        ({"filters": {"is_robot": ["perhaps"]}}, r"filters\.is_robot: .* not 'perhaps'"),
        ({"filters": {"created_at": "2026-01-01"}}, r"filters\.created_at: .* cannot be filtered on"),
        ({"filters": {"id": 2**70}}, "filters: a "),
    ],
)
async def test_what_the_database_does_not_have_is_refused_by_name_and_not_tried_again(
    clean: Clean, database: Database, payload: dict[str, object], why: str
) -> None:
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE keyless (created_at TIMESTAMP)"))
        for name in ("timeless", "alembic_version", "webhook_subscription"):
            await session.execute(text(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY)"))
    await add_visits(database, [100])

    with pytest.raises(CannotClean, match=why) as refusal:
        await clean(**({"table": "visit", "retentionDays": 90} | payload))

    assert isinstance(refusal.value, clean_stale_data.policy.unrecoverable)
    assert await count_visits(database) == 1


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "retentionDays"),
        ({"retentionDays": 0}, "retentionDays"),
        ({"retentionDays": -1}, "retentionDays"),
        ({"retentionDays": "NaN"}, "retentionDays"),
        ({"retentionDays": 1e9}, "retentionDays"),
        ({"retentionDays": 1, "table": ""}, "table"),
        ({"retentionDays": 1, "filter": {}}, "filter"),
        ({"retentionDays": 1, "filters": {"page": []}}, "filters.page"),
    ],
)
def test_a_payload_that_would_delete_too_much_is_refused_before_it_is_enqueued(
    payload: dict[str, object], field: str
) -> None:
    """A misspelt `filters` would delete what it was to keep."""
    with pytest.raises(InvalidPayload) as refusal:
        clean_stale_data.validate({"table": "visit"} | payload)

    assert any(name.startswith(f"payload.{field}") for name in refusal.value.field_errors)


async def test_rows_that_others_refer_to_stay_and_it_says_so(clean: Clean, database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE stay (id INTEGER PRIMARY KEY, visit INTEGER REFERENCES visit (id))"))
    await add_visits(database, [100], id=7)
    async with database.transaction() as session:
        await session.execute(text("INSERT INTO stay VALUES (1, 7)"))

    with pytest.raises(CannotClean, match="other rows refer to those of 'visit'"):
        await clean(table="visit", retentionDays=90)

    assert await count_visits(database) == 1


def test_the_tables_of_ours_that_hold_rules_are_protected() -> None:
    rules = {CronJobRow.__tablename__, CronSeed.__tablename__, WebhookSubscription.__tablename__}
    assert rules <= PROTECTED
