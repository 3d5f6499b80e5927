"""cleanUnverifiedUsers: who has not verified the address in time goes, whole; who does at the last moment stays."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import event, func, select, update

from handlers.clean_unverified_users import UsersCleaned, clean_unverified_users
from handlers.models import Profile, Session, User
from jobqueue.context import Resources
from jobqueue.database import Database, new_id
from jobqueue.handler import Singleton
from tests.handlers.support.contexts import new_context, new_job
from tests.handlers.users.support import a_session, add_all, add_user, days_ago, ids


async def clean(database: Database) -> UsersCleaned:
    result: UsersCleaned = await clean_unverified_users.function(new_context(new_job(), Resources(database)))
    return result


@contextmanager
def told_of_deletions(database: Database) -> Generator[asyncio.Event]:
    """An event that is set as soon as a DELETE is about to be sent to the database."""
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def look(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if "DELETE FROM" in statement:
            loop.call_soon_threadsafe(begun.set)

    event.listen(database.engine.sync_engine, "before_cursor_execute", look)
    try:
        yield begun
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", look)


async def test_unverified_users_of_more_than_a_day_go_with_what_belongs_to_them(database: Database) -> None:
    # given
    await add_user(database, "late", verified=False, age_days=1.1)
    await add_user(database, "new", verified=False, age_days=0.9)
    await add_user(database, "old", age_days=400)
    profile = Profile(id=new_id(), user_id="late", url="https://example.com", created_at=days_ago(1))
    await add_all(database, profile, a_session("late"), a_session("old"))

    # when
    result = await clean(database)

    # then
    assert result.deleted == 1
    assert await ids(database, User) == {"new", "old"}
    async with database.transaction() as transaction:
        assert await transaction.scalar(select(func.count()).select_from(Profile)) == 0
        assert (await transaction.scalars(select(Session.user_id))).all() == ["old"]


async def test_somebody_who_verifies_while_the_deletion_is_on_its_way_stays(database: Database) -> None:
    await add_user(database, "ada", verified=False)
    await add_user(database, "bob", verified=False)

    with told_of_deletions(database) as begun:
        async with database.transaction() as verifying:
            await verifying.execute(update(User).where(User.id == "ada").values(email_verified_at=days_ago(0)))
            cleaning = asyncio.create_task(clean(database))
            await begun.wait()
            # PostgreSQL passes over her and ends; SQLite waits for the commit, which follows when it has begun to.
            await asyncio.wait({cleaning}, timeout=0.5)
        result = await cleaning

    assert result.deleted == 1
    assert await ids(database, User) == {"ada"}


def test_it_runs_at_midnight_and_never_twice_at_once() -> None:
    assert clean_unverified_users.seeded_cron == "0 0 0 * * *"
    assert isinstance(clean_unverified_users.pattern, Singleton)
