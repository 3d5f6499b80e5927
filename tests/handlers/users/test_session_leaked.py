"""sessionLeaked: what a leak is told as, and that no token is in it."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from handlers.resources import open_housekeeping
from handlers.session_leaked import LeakDump, LeakReport, SessionLeaked, session_leaked
from handlers.users.refresh_tokens import Leaked, make_refresh_token, use_refresh_token
from jobqueue import App, Discard, DuplicateJob, Registry, Worker
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.context import Resources
from jobqueue.database import Database, open_database
from jobqueue.masking import MASK, mask
from jobqueue.upgrades import upgrade
from tests.conftest import MakeSettings
from tests.handlers.support.contexts import new_context, new_job
from tests.handlers.users.support import a_session, add_all, add_user

WAIT_S = 20.0


async def tell(database: Database, **payload: object) -> LeakReport | LeakDump:
    """Run the handler with a payload as it comes from JSON."""
    context = new_context(new_job(), Resources(database))
    told: LeakReport | LeakDump = await session_leaked.function(context, session_leaked.validate(payload))
    return told


async def test_a_report_tells_ids_and_times_and_a_screen_masks_none_of_it(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    # given
    session = a_session(revoked_days_ago=0)
    await add_user(database)
    await add_all(database, session)
    async with database.transaction() as transaction:
        tokens = [await make_refresh_token(transaction, session.id) for _ in range(2)]

    # when
    with caplog.at_level(logging.WARNING):
        report = await tell(database, sessionId=session.id, tokenId="t1")

    # then
    assert isinstance(report, LeakReport)
    assert (report.user_id, report.again, report.revoked_at) == ("ada", "t1", session.revoked_at)
    assert [link.used_at for link in report.chain] == [None, None]
    assert report.chain[0].created_at <= report.chain[1].created_at
    shown = report.model_dump(mode="json")
    assert mask(shown) == shown
    assert f"session {session.id} of user ada is revoked: refresh token t1 was used again" in caplog.text
    assert not any(token in caplog.text + report.model_dump_json() for token in tokens)


async def test_a_dump_has_every_column_and_masks_what_is_secret(database: Database) -> None:
    session = a_session(agent="Firefox", push={"deviceToken": "d-1", "seen": 3})
    await add_user(database)
    await add_all(database, session)
    async with database.transaction() as transaction:
        await make_refresh_token(transaction, session.id)

    dump = await tell(database, sessionId=session.id, type="dump")

    assert isinstance(dump, LeakDump)
    assert dump.session["data"] == {"agent": "Firefox", "push": {"deviceToken": MASK, "seen": 3}}
    assert dump.session.keys() == {"id", "user_id", "data", "expires_at", "revoked_at", "created_at"}
    (token,) = dump.chain
    assert token["token_sha256"] == MASK
    assert (token["session_id"], token["used_at"]) == (session.id, None)


async def test_a_session_that_is_gone_is_given_up(database: Database) -> None:
    with pytest.raises(Discard, match="session s1 is gone"):
        await tell(database, sessionId="s1")


async def test_a_worker_tells_of_a_leak_that_was_committed(settings: MakeSettings, database_url: str) -> None:
    # given
    await upgrade(database_url, MIGRATIONS)
    session = a_session()
    app = App(Registry([session_leaked], lifespan=open_housekeeping), settings(database_url=database_url))
    async with open_database(database_url) as database, app, Worker(app):
        await add_user(database)
        await add_all(database, session)
        async with database.transaction() as transaction:
            token = await make_refresh_token(transaction, session.id)
        async with database.transaction() as transaction:
            await use_refresh_token(transaction, token, app)

        # when
        async with app.subscribe(related=("session", session.id)) as outcomes:
            async with database.transaction() as transaction:
                again = await use_refresh_token(transaction, token, app)
            async with asyncio.timeout(WAIT_S):
                outcome = await anext(aiter(outcomes))

    # then
    assert isinstance(again, Leaked)
    assert (outcome.name, outcome.state) == ("sessionLeaked", "completed")
    report = LeakReport.model_validate_json(json.dumps(outcome.result))
    assert (report.session_id, report.again) == (session.id, again.token_id)
    assert report.revoked_at is not None
    assert [link.used_at is None for link in report.chain] == [False, True]


async def test_a_session_is_told_of_by_one_job_at_a_time(settings: MakeSettings) -> None:
    async with App(Registry([session_leaked]), settings()) as app:
        await app.enqueue_job(session_leaked, SessionLeaked(session_id="s1"), related=("session", "s1"))
        await app.enqueue_job(session_leaked, SessionLeaked(session_id="s2"), related=("session", "s2"))

        with pytest.raises(DuplicateJob):
            await app.enqueue_job(session_leaked, SessionLeaked(session_id="s1"), related=("session", "s1"))
