"""A watched model: what is committed is told to each active subscriber, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

import pytest
from sqlalchemy import ForeignKey, String, event, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, load_only, mapped_column

from handlers import registry
from handlers.webhooks import subscriptions
from handlers.webhooks.models import WebhookSubscription
from handlers.webhooks.signing import SigningKey
from handlers.webhooks.subscriptions import Subscription
from handlers.webhooks.watching import Watch, watch
from jobqueue import App, InvalidOption, PayloadTooLarge, Worker, set_default_app
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.database import Database, UtcDateTime, open_database
from jobqueue.outbox import OutboxRow
from jobqueue.upgrades import upgrade
from tests.conftest import MakeSettings
from tests.handlers.support.receiver import receiving
from tests.handlers.support.verifying import verify_rsa
from tests.support.eventually import eventually

HOOK = "http://127.0.0.1:9/hook"


class Base(DeclarativeBase):
    pass


class Invoice(Base):
    __tablename__ = "invoice"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(50))
    total: Mapped[Decimal | None]
    note: Mapped[str] = mapped_column(String(5_000), server_default="none")
    paid_at: Mapped[datetime | None] = mapped_column(UtcDateTime())


class CreditNote(Invoice):
    __tablename__ = "credit_note"

    id: Mapped[int] = mapped_column(ForeignKey("invoice.id"), primary_key=True)
    reason: Mapped[str] = mapped_column(String(50))


class Line(Base):
    __tablename__ = "line"

    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id"))


class Account(Base):
    __tablename__ = "account"

    tenant: Mapped[str] = mapped_column(String(50), primary_key=True)
    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    password_hash: Mapped[str] = mapped_column(String(50))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Our tables and those of the service that is told about, in one database."""
    await upgrade(database_url, MIGRATIONS)
    async with open_database(database_url) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield database


@pytest.fixture
async def app(settings: MakeSettings, database_url: str, signing_key_pem: str) -> AsyncIterator[App]:
    own = settings(environment="local", database_url=database_url, webhook_signing_private_key=signing_key_pem)
    async with App(registry, own) as app:
        yield app


class WatchFor(Protocol):
    """Watch a model until the test ends."""

    def __call__(self, model: type[Any], **options: Any) -> Watch: ...


@pytest.fixture
def watching(app: App) -> Iterator[WatchFor]:
    begun: list[Watch] = []

    def begin(model: type[Any], **options: Any) -> Watch:
        begun.append(watch(model, options.pop("app", app), **options))
        return begun[-1]

    yield begin
    for one in begun:
        one.stop()


async def subscribe(database: Database, model: str = "invoice", url: str = HOOK) -> Subscription:
    return await subscriptions.add(database, owner="ada", model=model, url=url, is_local=True)


async def told(database: Database) -> list[dict[str, Any]]:
    """The payloads of the jobs in the outbox, in order."""
    async with database.transaction() as session:
        rows = await session.scalars(select(OutboxRow.data).order_by(OutboxRow.id))
        return [json.loads(data)["payload"] for data in rows]


async def test_what_is_created_changed_and_deleted_is_told_in_that_order(
    database: Database, watching: WatchFor
) -> None:
    watching(Invoice)
    subscription = await subscribe(database)
    async with database.transaction() as session:
        invoice = Invoice(number="a", total=Decimal("12.50"), paid_at=datetime(2026, 1, 31, 12, tzinfo=UTC))
        session.add(invoice)
    async with database.transaction() as session:
        (await session.get_one(Invoice, invoice.id)).number = "b"
    async with database.transaction() as session:
        await session.delete(await session.get_one(Invoice, invoice.id))

    created, changed, deleted = await told(database)

    assert created["subscriptionId"] == subscription.id
    assert [one["action"] for one in (created, changed, deleted)] == ["create", "update", "delete"]
    assert {one["resourceId"] for one in (created, changed, deleted)} == {str(invoice.id)}
    data = {"id": invoice.id, "number": "a", "total": "12.50", "note": "none", "paid_at": "2026-01-31T12:00:00Z"}
    assert created["data"] == data
    assert changed["data"]["number"] == deleted["data"]["number"] == "b"
    assert created["timestamp"].endswith("Z")


async def test_every_active_subscriber_of_the_model_is_told_and_no_other(
    database: Database, watching: WatchFor
) -> None:
    watching(Invoice)
    first, second = await subscribe(database), await subscribe(database)
    await subscribe(database, "order")
    disabled = await subscribe(database)
    async with database.transaction() as session:
        await session.execute(
            update(WebhookSubscription).where(WebhookSubscription.id == disabled.id).values(is_active=False)
        )
    async with database.transaction() as session:
        session.add_all([Invoice(number=str(number)) for number in range(3)])

    assert [one["subscriptionId"] for one in await told(database)] == [first.id, second.id] * 3


async def test_a_transaction_that_is_rolled_back_tells_nobody(database: Database, watching: WatchFor) -> None:
    watching(Invoice)
    await subscribe(database)
    async with database.transaction() as session:
        session.add(Invoice(number="a"))
        await session.flush()
        await session.rollback()

    assert await told(database) == []


async def test_a_savepoint_that_is_rolled_back_tells_nobody_of_what_was_in_it(
    database: Database, watching: WatchFor
) -> None:
    watching(Invoice)
    await subscribe(database)
    async with database.transaction() as session:
        session.add(Invoice(number="kept"))
        await session.flush()
        savepoint = await session.begin_nested()
        session.add(Invoice(number="lost"))
        await session.flush()
        await savepoint.rollback()

    assert [one["data"]["number"] for one in await told(database)] == ["kept"]


async def test_a_flush_that_failed_leaves_nothing_behind_for_the_next_one(
    database: Database, watching: WatchFor
) -> None:
    async with database.transaction() as session:
        session.add(Invoice(id=7, number="has a line"))
        await session.flush()
        session.add(Line(invoice_id=7))
    watching(Invoice)
    await subscribe(database)
    async with database.transaction() as session:
        with_a_line = await session.get_one(Invoice, 7)
        savepoint = await session.begin_nested()
        session.add(Invoice(number="lost"))
        await session.delete(with_a_line)
        with pytest.raises(IntegrityError):
            await session.flush()
        await savepoint.rollback()
        session.add(Invoice(number="last"))

    assert [one["data"]["number"] for one in await told(database)] == ["last"]


async def test_an_update_that_changes_no_field_that_is_told_tells_nobody(
    database: Database, watching: WatchFor
) -> None:
    watching(Invoice, fields=["id", "number"])
    async with database.transaction() as session:
        session.add(Invoice(id=1, number="a", note="x"))
    await subscribe(database)
    async with database.transaction() as session:
        invoice = await session.get_one(Invoice, 1)
        invoice.number, invoice.note = "a", "y"

    assert await told(database) == []


async def test_fields_that_were_never_loaded_are_read_before_they_are_told(
    database: Database, watching: WatchFor
) -> None:
    watching(Invoice)
    async with database.transaction() as session:
        session.add(Invoice(id=1, number="a", note="x"))
    await subscribe(database)
    only_number = select(Invoice).options(load_only(Invoice.number))
    async with database.transaction() as session:
        (await session.scalars(only_number)).one().number = "b"
    async with database.transaction() as session:
        (await session.scalars(only_number)).one().note = func.upper("shout")
    async with database.transaction() as session:
        await session.delete((await session.scalars(only_number)).one())

    told_data = [(one["data"]["number"], one["data"]["note"]) for one in await told(database)]
    assert told_data == [("b", "x"), ("b", "SHOUT"), ("b", "SHOUT")]


async def test_a_row_of_a_subclass_is_told_as_one_of_the_model(database: Database, watching: WatchFor) -> None:
    watching(Invoice)
    await subscribe(database)
    async with database.transaction() as session:
        session.add(CreditNote(id=3, number="c", reason="broken"))

    (created,) = await told(database)

    assert created["resourceId"] == "3"
    assert created["data"].keys() == {"id", "number", "total", "note", "paid_at"}


async def test_a_key_of_several_columns_is_one_id_and_another_name_may_be_given(
    database: Database, watching: WatchFor
) -> None:
    watching(Account, name="customer", exclude=["password_hash"])
    await subscribe(database, "customer")
    async with database.transaction() as session:
        session.add(Account(tenant="acme", name="ada", password_hash="h"))

    (created,) = await told(database)

    assert created["resourceId"] == "acme,ada"
    assert created["data"] == {"tenant": "acme", "name": "ada"}


async def test_statements_are_not_seen(database: Database, watching: WatchFor) -> None:
    watching(Invoice)
    async with database.transaction() as session:
        session.add(Invoice(id=1, number="a"))
    await subscribe(database)
    async with database.transaction() as session:
        await session.execute(update(Invoice).values(number="b"))

    assert await told(database) == []


async def test_nobody_is_told_after_the_end(database: Database, watching: WatchFor) -> None:
    watch_of_invoices = watching(Invoice)
    await subscribe(database)
    watch_of_invoices.stop()
    watch_of_invoices.stop()
    async with database.transaction() as session:
        session.add(Invoice(number="a"))

    assert await told(database) == []


async def test_without_an_app_that_of_the_service_is_used(database: Database, app: App, watching: WatchFor) -> None:
    watching(Invoice, app=None)
    await subscribe(database)
    set_default_app(app)
    try:
        async with database.transaction() as session:
            session.add(Invoice(number="a"))
    finally:
        set_default_app(None)

    assert len(await told(database)) == 1


async def test_what_is_too_large_for_a_job_ends_the_transaction(
    database: Database, settings: MakeSettings, watching: WatchFor
) -> None:
    async with App(registry, settings(jobs_max_payload_bytes=2_000)) as small:
        watching(Invoice, app=small)
        await subscribe(database)
        with pytest.raises(PayloadTooLarge):
            async with database.transaction() as session:
                session.add(Invoice(number="a", note="x" * 3_000))

    async with database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Invoice)) == 0


async def test_the_jobs_of_a_flush_are_written_by_one_statement(database: Database, watching: WatchFor) -> None:
    watching(Invoice)
    for _ in range(2):
        await subscribe(database)
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    async with database.transaction() as session:
        session.add_all([Invoice(number=str(number)) for number in range(20)])

    assert len(await told(database)) == 40
    assert sum("INSERT INTO job_outbox" in statement for statement in statements) == 1


def test_what_cannot_be_watched_is_refused_by_name() -> None:
    with pytest.raises(InvalidOption, match="model: must be a class that SQLAlchemy has mapped"):
        watch(dict)
    with pytest.raises(InvalidOption, match="fields: Invoice has no column 'totl'; it has id, number"):
        watch(Invoice, fields=["totl"])
    with pytest.raises(InvalidOption, match=r"Account\.password_hash has the name of a secret"):
        watch(Account)


async def test_a_committed_change_reaches_its_receiver_signed(
    database: Database, app: App, watching: WatchFor, signing_key: SigningKey
) -> None:
    watching(Invoice, fields=["id", "number"])
    async with receiving() as receiver, Worker(app):
        await subscribe(database, url=receiver.url)
        async with database.transaction() as session:
            session.add(Invoice(id=1, number="a"))
        await eventually(lambda: bool(receiver.requests))

    (request,) = receiver.requests
    body = json.loads(request.body)
    verify_rsa(signing_key.public_pem(), request)
    assert (body["model"], body["action"], body["payload"]) == ("invoice", "create", {"id": 1, "number": "a"})
