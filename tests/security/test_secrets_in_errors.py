"""What an error says, its cause, its trace and the repr of a record: none of them repeats a secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from handlers.outside.address import parse_url
from handlers.webhooks.delivery import Refused, WebhookDelivery
from handlers.webhooks.signing import load_signing_key, secret_bytes
from jobqueue import App, InvalidPayload, JobContext, JobqueueError, Registry, Settings, make_job
from jobqueue.database import open_database, parse_database_url
from jobqueue.errors import RedisReplyError
from jobqueue.job import Envelope
from jobqueue.redis.locating import locator_for
from jobqueue.redis.url import read_url
from tests.conftest import MakeSettings
from tests.security.canary import CANARY, everything_in

DATABASE_URLS: Final = [
    f"postgresql://u:{CANARY}@h:x/db",
    f"postgresql://u:p@{CANARY}@h/db",
    f"mysql://u:{CANARY}@h/db",
    f"://{CANARY}",
]
REDIS_URLS: Final = [
    f"redis://u:{CANARY}@h:x/0",
    f"redis://:{CANARY}",
    f"redis://u:{CANARY}",
    f"redis://:{CANARY}@h/1/2",
    f"redis://u:{CANARY}/x@h",
    f"redis://h?password={CANARY}&password={CANARY}",
    f"redis+sentinel://:{CANARY}@h",
    f"http://u:{CANARY}@h",
]
WEBHOOK_URLS: Final = [
    f"https://u:{CANARY}@h/x",
    f"https://u:{CANARY}/x@h",
    f"https://u:{CANARY}",
    f"https://u:{CANARY}@h:99999999/",
    f"https://h/\x00{CANARY}",
    f"ftp://u:{CANARY}@h",
]
ECHO: Final = b"-ERR unknown command 'AUTH', with args beginning with: 'u' '%s' \r\n"
"""What a server answers that was made to not know the command; a sentinel of Redis 4 is one of those."""


class Login(BaseModel):
    pin: SecretStr
    number: int


@make_job
async def login(ctx: JobContext, payload: Login) -> None:
    """Never run here."""


@make_job
async def count(ctx: JobContext, payload: int) -> None:
    """Never run here."""


def raised_by(work: Callable[[], object]) -> str:
    with pytest.raises(JobqueueError) as refusal:
        work()
    return everything_in(refusal.value)


@pytest.mark.parametrize("url", DATABASE_URLS)
def test_a_database_url_that_is_wrong_is_not_repeated(url: str) -> None:
    assert CANARY not in raised_by(lambda: parse_database_url(url))


@pytest.mark.parametrize("url", REDIS_URLS)
def test_a_redis_url_that_is_wrong_is_not_repeated(url: str) -> None:
    assert CANARY not in raised_by(lambda: read_url(url))


@pytest.mark.parametrize("url", WEBHOOK_URLS)
def test_a_webhook_url_that_is_wrong_is_not_repeated(url: str) -> None:
    assert CANARY not in raised_by(lambda: parse_url(url, allow_private=False))


async def test_a_webhook_url_that_was_stored_wrong_is_not_in_the_answer_of_a_delivery() -> None:
    """It becomes the job's error and a row of webhook_event."""
    async with WebhookDelivery(allow_private=False) as delivery:
        answer = await delivery.post(f"https://u:{CANARY}/x@h", {}, b"")

    assert isinstance(answer, Refused)
    assert CANARY not in answer.error


@pytest.mark.parametrize(
    "url",
    [f"postgresql://u:{CANARY}@127.0.0.1:1/db", f"postgresql://127.0.0.1:1/db?user=u&password={CANARY}"],
    ids=["in its place", "as an option"],
)
async def test_the_password_of_a_database_that_is_away_is_not_told(url: str) -> None:
    async with open_database(url) as database:
        with pytest.raises(JobqueueError) as refusal:
            await database.ping()

        assert CANARY not in everything_in(refusal.value) + database.address + repr(database)


async def test_a_refused_login_to_postgres_does_not_tell_the_password(postgres_url: str) -> None:
    """asyncpg's own error is the cause of ours."""
    wrong = parse_database_url(postgres_url).set(username="nobody", password=CANARY)
    async with open_database(wrong.render_as_string(hide_password=False)) as database:
        with pytest.raises(JobqueueError) as refusal:
            await database.ping()

    assert CANARY not in everything_in(refusal.value)


@asynccontextmanager
async def server_that_repeats(answer: bytes) -> AsyncGenerator[int]:
    """A server that answers everything with this error; yields its port."""

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            writer.write(answer * 8)
        writer.close()

    server = await asyncio.start_server(repeat, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    "place",
    [
        "redis://u:{}@127.0.0.1:{}",
        "redis+cluster://u:{}@127.0.0.1:{}",
        "redis+sentinel://127.0.0.1:{1}/s?sentinel_password={0}",
    ],
    ids=["server", "cluster", "sentinel"],
)
async def test_a_server_that_repeats_the_password_is_not_quoted(place: str, settings: MakeSettings) -> None:
    async with server_that_repeats(ECHO % CANARY.encode()) as port:
        url = place.format(CANARY, port)
        async with App(Registry(), settings(redis_url=url, jobs_prefix="{t}", redis_connect_ms=500)) as app:
            with pytest.raises(JobqueueError) as refusal:
                await app.client.call("PING")

        assert CANARY not in everything_in(refusal.value) + repr(locator_for(url, "{t}")) + repr(read_url(url))


def test_an_answer_of_redis_is_quoted_without_what_it_repeats() -> None:
    error = RedisReplyError(f"ERR unknown command 'EVALSHA', with args beginning with: 'x' '{CANARY}'")

    assert (str(error), error.code) == ("ERR unknown command 'EVALSHA'", "ERR")


@pytest.mark.parametrize(
    "check",
    [
        lambda: login.validate({"pin": CANARY}),
        lambda: login.validate_json(f'{{"pin": "{CANARY}"}}'),
        lambda: login.validate_json(f'{{"pin": "{CANARY}'),
        lambda: count.validate(CANARY),
    ],
    ids=["a field is missing", "in JSON", "broken JSON", "the value itself"],
)
def test_a_payload_that_does_not_validate_is_not_repeated(check: Callable[[], Any]) -> None:
    """pydantic's own error, which shows what it was given, was once the cause: it stood in the job's stack trace."""
    with pytest.raises(InvalidPayload) as refusal:
        check()

    assert CANARY not in everything_in(refusal.value)


def test_settings_that_are_wrong_are_not_repeated_and_right_ones_not_shown() -> None:
    wrong: dict[str, Any] = {"redis_connect_ms": CANARY, "admin_api_token": [CANARY]}
    right: dict[str, Any] = {
        "redis_url": f"redis://:{CANARY}@h",
        "database_url": f"postgresql://u:{CANARY}@h/db",
        "admin_api_token": CANARY,
        "bull_board_username": "ada",
        "bull_board_password": CANARY,
        "webhook_signing_private_key": CANARY,
    }

    with pytest.raises(ValidationError) as direct:
        Settings(**wrong)
    read = Settings.load(**right)

    assert CANARY not in str(direct.value) + raised_by(lambda: Settings.load(**wrong))
    assert CANARY not in repr(read) + str(read)


@pytest.mark.parametrize("pem", [CANARY, f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----"])
def test_a_signing_key_that_is_none_is_not_repeated(pem: str) -> None:
    assert CANARY not in raised_by(lambda: load_signing_key(SecretStr(pem)))
    assert CANARY not in raised_by(lambda: secret_bytes(SecretStr(pem)))


def test_the_record_of_a_job_shows_no_payload() -> None:
    """A handler's `log.info("%r", ctx.job)` is soon written, and a `SecretStr` is in clear there."""
    envelope = Envelope({"pin": CANARY}, order_key="customer:1")

    assert CANARY not in repr(envelope)
    assert "order_key='customer:1'" in repr(envelope)
