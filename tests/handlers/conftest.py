"""The fixtures of the handlers' tests: an upgraded database, a signing key, a subscription."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from typing import Protocol

import pytest
from pydantic import SecretStr

from handlers.migrations import FOLDER
from handlers.webhooks import subscriptions
from handlers.webhooks.signing import SigningKey, generate_signing_key, load_signing_key
from handlers.webhooks.subscriptions import Subscription
from jobqueue.database import Database, open_database
from jobqueue.upgrades import upgrade


class Subscribe(Protocol):
    """Add a subscription of a local environment to this test's database."""

    def __call__(self, url: str, *, secret: SecretStr | None = None) -> Awaitable[Subscription]: ...


@pytest.fixture(scope="session")
def signing_key_pem() -> str:
    """One key for all tests, since making one takes a while."""
    return generate_signing_key()


@pytest.fixture
def signing_key(signing_key_pem: str) -> SigningKey:
    return load_signing_key(SecretStr(signing_key_pem))


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    """This test's own database with the handlers' tables, on SQLite and on PostgreSQL."""
    await upgrade(database_url, [FOLDER])
    async with open_database(database_url) as opened:
        yield opened


@pytest.fixture
def subscribe(database: Database) -> Subscribe:
    async def add(url: str, *, secret: SecretStr | None = None) -> Subscription:
        return await subscriptions.add(database, owner="ada", model="invoice", url=url, secret=secret, is_local=True)

    return add
