"""Refresh tokens: one prolongs its session once; one that comes again ends it, and is told of once."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import select

from handlers.models import RefreshToken, Session
from handlers.session_leaked import session_leaked
from handlers.users.refresh_tokens import Leaked, Prolonged, Refused, TokenUse, make_refresh_token, use_refresh_token
from jobqueue import App, Registry
from jobqueue.database import Database
from jobqueue.outbox import OutboxRow
from tests.conftest import MakeSettings
from tests.handlers.users.support import a_session, add_all, add_user


@pytest.fixture
async def app(settings: MakeSettings, tables_url: str) -> AsyncGenerator[App]:
    async with App(Registry([session_leaked]), settings(database_url=tables_url)) as opened:
        yield opened


async def sign_in(database: Database, session: Session | None = None) -> tuple[str, str]:
    """A session of ada's and its first token."""
    session = session or a_session()
    await add_user(database)
    await add_all(database, session)
    async with database.transaction() as transaction:
        return session.id, await make_refresh_token(transaction, session.id)


async def use(database: Database, app: App, token: str) -> TokenUse:
    async with database.transaction() as transaction:
        return await use_refresh_token(transaction, token, app)


async def is_revoked(database: Database, session_id: str) -> bool:
    async with database.transaction() as transaction:
        session = await transaction.get_one(Session, session_id)
        return session.revoked_at is not None


async def told(database: Database) -> list[object]:
    """The payloads of the jobs that stand in the outbox, and what they are about."""
    async with database.transaction() as transaction:
        rows = await transaction.scalars(select(OutboxRow.data).order_by(OutboxRow.id))
        return [(data["payload"], data["related"]) for data in map(json.loads, rows)]


async def test_each_token_prolongs_once_and_gives_the_next_one(database: Database, app: App) -> None:
    session_id, first = await sign_in(database)

    once = await use(database, app, first)
    assert isinstance(once, Prolonged)
    twice = await use(database, app, once.token)

    assert isinstance(twice, Prolonged)
    assert once.session_id == twice.session_id == session_id
    assert len({first, once.token, twice.token}) == 3
    assert twice.token not in repr(twice)
    assert not await is_revoked(database, session_id)
    async with database.transaction() as transaction:
        rows = (await transaction.scalars(select(RefreshToken).order_by(RefreshToken.used_at.nulls_last()))).all()
    assert [row.used_at is None for row in rows] == [False, False, True]
    assert rows[2].token_sha256 == hashlib.sha256(twice.token.encode()).hexdigest()


async def test_a_token_that_comes_again_revokes_its_session_and_is_told_of_once(database: Database, app: App) -> None:
    # given
    session_id, first = await sign_in(database)
    once = await use(database, app, first)
    assert isinstance(once, Prolonged)

    # when
    again = await use(database, app, first)

    # then
    assert isinstance(again, Leaked)
    assert again.session_id == session_id
    assert await is_revoked(database, session_id)
    payload = {"sessionId": session_id, "tokenId": again.token_id, "type": "report"}
    assert await told(database) == [(payload, {"type": "session", "id": session_id})]

    # and nothing of the session is good any more, the copy's next token neither
    assert [await use(database, app, token) for token in (first, once.token)] == [Refused(), Refused()]
    assert len(await told(database)) == 1


async def test_of_many_uses_at_once_one_prolongs_one_is_told_of_and_the_rest_are_refused(
    database: Database, app: App
) -> None:
    session_id, first = await sign_in(database)

    answers = await asyncio.gather(*(use(database, app, first) for _ in range(6)))

    assert Counter(type(answer) for answer in answers) == {Prolonged: 1, Leaked: 1, Refused: 4}
    assert await is_revoked(database, session_id)
    assert len(await told(database)) == 1


async def test_a_rollback_takes_back_all_of_it(database: Database, app: App) -> None:
    session_id, first = await sign_in(database)
    await use(database, app, first)

    async def use_and_fail() -> None:
        async with database.transaction() as transaction:
            assert isinstance(await use_refresh_token(transaction, first, app), Leaked)
            raise RuntimeError("the service has lost its way")

    with pytest.raises(RuntimeError, match="lost its way"):
        await use_and_fail()

    assert not await is_revoked(database, session_id)
    assert await told(database) == []


async def test_a_session_that_is_over_is_not_prolonged_nor_is_one_by_a_strange_token(
    database: Database, app: App
) -> None:
    _, first = await sign_in(database, a_session(expired_days_ago=0.1))
    revoked, good = a_session(revoked_days_ago=0.1), a_session()
    await add_all(database, revoked, good)
    async with database.transaction() as transaction:
        second = await make_refresh_token(transaction, revoked.id)
        await make_refresh_token(transaction, good.id)

    answers = [await use(database, app, token) for token in (first, second, "nobody's", "", "\ud800")]

    assert answers == [Refused()] * 5
    async with database.transaction() as transaction:
        assert (await transaction.scalars(select(RefreshToken.used_at))).all() == [None] * 3
    assert await told(database) == []
