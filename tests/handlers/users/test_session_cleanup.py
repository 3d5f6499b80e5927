"""sessionCleanup: what ended long ago goes, what is in use or in hand stays."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from handlers.models import RefreshToken, Session
from handlers.session_cleanup import SessionsCleaned, session_cleanup
from handlers.users.batches import BATCH
from handlers.users.refresh_tokens import make_refresh_token
from jobqueue.context import AbortReason, JobContext, Resources
from jobqueue.database import Database
from jobqueue.errors import InvalidPayload, JobCancelled
from jobqueue.handler import Singleton
from tests.handlers.support.contexts import new_context, new_job
from tests.handlers.users.support import a_session, add_all, add_user, ids


async def clean(database: Database, context: JobContext | None = None, **payload: object) -> SessionsCleaned:
    """Run the handler with a payload as it comes from JSON."""
    context = context or new_context(new_job(), Resources(database))
    result: SessionsCleaned = await session_cleanup.function(context, session_cleanup.validate(payload))
    return result


async def test_sessions_that_expired_or_were_revoked_15_days_ago_go_and_those_of_13_days_stay(
    database: Database,
) -> None:
    # given
    await add_user(database)
    gone = [a_session(expired_days_ago=15), a_session(revoked_days_ago=15), a_session(expired_days_ago=40)]
    left = [
        a_session(),
        a_session(expired_days_ago=13),
        a_session(revoked_days_ago=13),
        a_session(expired_days_ago=-90),
    ]
    await add_all(database, *gone, *left)
    async with database.transaction() as transaction:
        for session in (gone[0], left[0]):
            await make_refresh_token(transaction, session.id)

    # when
    result = await clean(database)

    # then
    assert result.deleted == 3
    assert await ids(database, Session) == {session.id for session in left}
    async with database.transaction() as transaction:
        assert (await transaction.scalars(select(RefreshToken.session_id))).all() == [left[0].id]
    assert (await clean(database, maxRevokedAgeInDays=0.5)).deleted == 2


async def test_many_sessions_go_in_batches_and_a_run_that_is_told_to_stop_ends_between_two(database: Database) -> None:
    await add_user(database)
    await add_all(database, *(a_session(expired_days_ago=20) for _ in range(2 * BATCH + 1)))
    progress: list[object] = []

    def stop(value: object) -> None:
        progress.append(value)
        context.signal.abort(AbortReason("cancelled", "no longer wanted"))

    context = new_context(new_job(), Resources(database), on_progress=stop)
    with pytest.raises(JobCancelled, match="no longer wanted"):
        await clean(database, context)

    assert progress == [{"deleted": BATCH}]
    assert (await clean(database)).deleted == BATCH + 1
    async with database.transaction() as transaction:
        assert await transaction.scalar(select(func.count()).select_from(Session)) == 0


@pytest.mark.parametrize("payload", [{"maxRevokedAgeInDays": -1}, {"maxRevokedAge": 3}, {"maxRevokedAgeInDays": 1e9}])
def test_a_payload_that_would_delete_too_much_is_refused(payload: dict[str, object]) -> None:
    with pytest.raises(InvalidPayload, match=r"payload\.maxRevokedAge"):
        session_cleanup.validate(payload)


def test_it_runs_each_night_and_never_twice_at_once() -> None:
    assert session_cleanup.seeded_cron == "0 2 * * *"
    assert isinstance(session_cleanup.pattern, Singleton)
