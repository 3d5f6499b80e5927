"""verifyProfile: what becomes of a profile, by what is at its place; one check of a user after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, select

from handlers.models import MAX_TEXT, Profile
from handlers.users.profiles import record_check
from handlers.users.proof_reader import ProofReader
from handlers.verify_profile import ProfileChecked, ProfileUnreachable, VerifyProfile, verify_profile
from jobqueue import App, Discard, Registry, Resources, Settings, SettingsError, Worker, fixed
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.database import Database, new_id, open_database
from jobqueue.errors import InvalidPayload
from jobqueue.upgrades import upgrade
from tests.conftest import MakeSettings
from tests.handlers.support.contexts import new_context, new_job
from tests.handlers.support.receiver import Reaction, answer
from tests.handlers.users.support import HOSTNAME, a_proof, a_site, add_all, add_user, days_ago, the_profile, the_sites

WAIT_S = 20.0
PROOF = f"/proofs/{HOSTNAME}"


@pytest.fixture
async def reader() -> AsyncGenerator[ProofReader]:
    """The reader of a local environment, which waits half a second."""
    async with the_sites() as sites:
        yield ProofReader(HOSTNAME, None, sites)


async def verify(database: Database, reader: ProofReader, url: str, user_id: str = "ada") -> ProfileChecked:
    """Run the handler with a payload as it comes from JSON."""
    context = new_context(new_job(), Resources(database, reader))
    payload = verify_profile.validate({"userId": user_id, "url": url})
    result: ProfileChecked = await verify_profile.function(context, payload)
    return result


def a_profile(url: str, *, verified: bool) -> Profile:
    refusal = None if verified else "the proof names another user"
    verified_at = days_ago(9) if verified else None
    return Profile(
        id=new_id(), user_id="ada", url=url, verified_at=verified_at, refusal=refusal, created_at=days_ago(10)
    )


async def test_a_profile_with_a_proof_is_verified(database: Database, reader: ProofReader) -> None:
    await add_user(database)
    async with a_site({PROOF: answer(200, a_proof())}) as site:
        await add_all(database, a_profile(site.url, verified=False))

        result = await verify(database, reader, site.url)

    profile = await the_profile(database)
    assert result == ProfileChecked(verified=True)
    assert profile.refusal is None
    assert profile.verified_at is not None
    assert profile.verified_at > days_ago(0.01)


async def test_a_wrong_proof_takes_the_verification_away_and_the_row_says_why(
    database: Database, reader: ProofReader
) -> None:
    await add_user(database)
    async with a_site({PROOF: answer(200, a_proof("bob"))}) as site:
        await add_all(database, a_profile(site.url, verified=True))

        result = await verify(database, reader, site.url)

    profile = await the_profile(database)
    assert result == ProfileChecked(verified=False, refusal="the proof names another user")
    assert (profile.verified_at, profile.refusal) == (None, "the proof names another user")


async def test_a_profile_of_which_nobody_has_told_before_gets_its_row(database: Database, reader: ProofReader) -> None:
    await add_user(database)
    async with a_site({}) as site:
        await verify(database, reader, f"{site.url}/ada")

    profile = await the_profile(database)
    assert (profile.user_id, profile.url) == ("ada", f"{site.url}/ada")
    assert (profile.verified_at, profile.refusal) == (None, "there is no proof: the site answers 404")


async def test_a_profile_that_cannot_be_reached_stays_as_it_was_and_is_tried_again(
    database: Database, reader: ProofReader
) -> None:
    await add_user(database)
    async with a_site({PROOF: answer(503)}) as site:
        await add_all(database, a_profile(site.url, verified=True))

        with pytest.raises(ProfileUnreachable, match="the site answers 503") as trouble:
            await verify(database, reader, site.url)

    assert not isinstance(trouble.value, verify_profile.policy.unrecoverable)
    assert (await the_profile(database)).verified_at is not None


async def test_without_a_user_whose_address_is_verified_nobody_is_asked(
    database: Database, reader: ProofReader
) -> None:
    await add_user(database, "bob", verified=False)
    async with a_site({PROOF: answer(200, a_proof("bob"))}) as site:
        with pytest.raises(Discard, match="there is no user ada"):
            await verify(database, reader, site.url)
        with pytest.raises(Discard, match="the e-mail address of user bob is not verified"):
            await verify(database, reader, site.url, "bob")

    assert site.asked == []
    async with database.transaction() as transaction:
        assert await transaction.scalar(select(func.count()).select_from(Profile)) == 0


async def test_a_long_refusal_is_cut_to_fit_its_column(database: Database) -> None:
    await add_user(database)

    async with database.transaction() as transaction:
        await record_check(transaction, "ada", "https://example.com", "x" * 5_000)

    assert (await the_profile(database)).refusal == "x" * MAX_TEXT


@pytest.mark.parametrize(
    "payload", [{"url": "u"}, {"userId": "a\0", "url": "u"}, {"userId": "ada", "url": "\n"}, {"userId": "", "url": "u"}]
)
def test_a_payload_that_no_row_could_have_is_refused(payload: dict[str, object]) -> None:
    with pytest.raises(InvalidPayload):
        verify_profile.validate(payload)


@asynccontextmanager
async def open_what_it_needs(settings: Settings) -> AsyncGenerator[Resources]:
    async with open_database(settings.database_url) as database, the_sites() as sites:
        yield Resources(database, ProofReader(settings.service_hostname, settings.profiles_folder, sites))


def in_turn(*reactions: Reaction) -> Reaction:
    """Each request gets the next reaction."""
    left = list(reactions)

    async def react(writer: asyncio.StreamWriter) -> None:
        await left.pop(0)(writer)

    return react


async def test_the_checks_of_one_user_run_one_after_another_also_when_one_is_tried_again(
    settings: MakeSettings, database_url: str
) -> None:
    """The second one would overtake the first while that rests, and the first would have the last word."""
    await upgrade(database_url, MIGRATIONS)
    registry = Registry([verify_profile], lifespan=open_what_it_needs)
    own = settings(database_url=database_url, service_hostname=HOSTNAME)
    reactions = in_turn(answer(503), answer(200, a_proof("bob")), answer(200, a_proof()))
    async with open_database(database_url) as database, a_site({PROOF: reactions}) as site, App(registry, own) as app:
        await add_user(database)
        payload = VerifyProfile(user_id="ada", url=site.url)
        about = ("user", "ada")

        # when
        async with Worker(app):
            first = await app.enqueue_job(verify_profile, payload, related=about, backoff=fixed(200))
            second = await app.enqueue_job(verify_profile, payload, related=about)
            results = [await first.wait(WAIT_S), await second.wait(WAIT_S)]

        # then
        assert [result["verified"] for result in results] == [False, True]
        assert (await the_profile(database)).verified_at is not None


async def test_a_worker_that_does_not_know_the_service_by_name_fails_the_job_once(
    database: Database, reader: ProofReader
) -> None:
    await add_user(database)

    with pytest.raises(SettingsError, match="SERVICE_HOSTNAME: is not set") as refusal:
        await verify(database, ProofReader(None, None, reader.sites), "https://example.com")

    assert isinstance(refusal.value, verify_profile.policy.unrecoverable)
