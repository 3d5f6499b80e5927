"""The client over a real Redis: opens when needed and again when lost, loads scripts, and never repeats by itself."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jobqueue.errors import ClientClosed, ConnectionLost, RedisReplyError, RedisUnavailable, SettingsError
from jobqueue.redis.client import Client, PushListener, Timeouts
from jobqueue.redis.url import Endpoint
from jobqueue.scripts import Script
from tests.support.eventually import eventually
from tests.support.processes import free_port
from tests.support.redis_server import HOST, RedisServer, running_redis

INCREMENT = Script.of("increment", "return redis.call('INCR', KEYS[1]) + ARGV[1]")


@asynccontextmanager
async def client_of(
    url: str, *, timeouts: Timeouts | None = None, on_push: PushListener | None = None
) -> AsyncGenerator[Client]:
    client = Client(Endpoint.from_url(url), timeouts=timeouts, on_push=on_push)
    try:
        yield client
    finally:
        await client.close()


async def connections(server: RedisServer) -> int:
    """How many are open besides the one that asks."""
    async with server.client() as observer:
        return len(await observer.client_list()) - 1


async def test_a_client_opens_at_its_first_call_and_callers_share_the_opening(own_redis: RedisServer) -> None:
    async with client_of(own_redis.url) as client:
        assert await connections(own_redis) == 0

        answers = await asyncio.gather(*(client.call("ECHO", number) for number in range(50)))

        assert answers == [str(number) for number in range(50)]
        assert await connections(own_redis) == 1


async def test_a_caller_that_gives_up_while_the_client_opens_does_not_hurt_the_others(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        hasty = asyncio.ensure_future(client.call("ECHO", "hasty"))
        patient = asyncio.ensure_future(client.call("ECHO", "patient"))
        await asyncio.sleep(0)  # one turn: the opening has begun
        hasty.cancel()

        assert await patient == "patient"
        assert hasty.cancelled()


async def test_a_lost_connection_is_told_once_and_opened_again(own_redis: RedisServer) -> None:
    async with client_of(own_redis.url) as client:
        await client.call("PING")
        blocked = asyncio.ensure_future(client.call("BLPOP", "nothing", 0, timeout_s=60))
        await asyncio.sleep(0.1)  # lets the call leave: nothing tells that it has
        async with own_redis.client() as admin:
            await admin.client_kill_filter(_type="normal", skipme=True)

        with pytest.raises(ConnectionLost):
            await blocked
        assert await client.call("ECHO", "again") == "again"


async def test_a_call_while_redis_is_away_was_not_sent(own_redis: RedisServer) -> None:
    async with client_of(own_redis.url) as client:
        await client.call("PING")
        await asyncio.to_thread(own_redis.kill)
        with pytest.raises(RedisUnavailable):
            await client.call("PING")  # the first may still meet the dead connection
        with pytest.raises(RedisUnavailable) as caught:
            await client.call("PING")
        assert not isinstance(caught.value, ConnectionLost)

        await asyncio.to_thread(own_redis.start)
        assert await client.call("ECHO", "back") == "back"


async def test_a_call_is_never_repeated_by_the_client(own_redis: RedisServer) -> None:
    async with client_of(own_redis.url, timeouts=Timeouts(call_s=0.3)) as client:
        await client.call("PING")
        own_redis.pause()
        with pytest.raises(ConnectionLost):
            await client.call("INCR", "counter")
        own_redis.resume()

        async def was_executed() -> bool:
            return await client.call("GET", "counter") is not None

        await eventually(was_executed)
        assert await client.call("GET", "counter") == "1"


async def test_a_script_that_redis_does_not_know_is_loaded(redis_url: str, prefix: str) -> None:
    async with client_of(redis_url) as client:
        await client.call("SCRIPT", "FLUSH")
        key = f"{prefix}:number"

        assert [await client.run(INCREMENT, [key], [10]) for _ in range(3)] == [11, 12, 13]
        await client.call("DEL", key)


async def test_scripts_run_at_once_when_none_is_known_all_run_once(redis_url: str, prefix: str) -> None:
    async with client_of(redis_url) as client:
        await client.call("SCRIPT", "FLUSH")
        key = f"{prefix}:number"

        answers = await asyncio.gather(*(client.run(INCREMENT, [key], [0]) for _ in range(100)))

        assert sorted(answers) == list(range(1, 101))
        await client.call("DEL", key)


async def test_the_error_of_a_script_is_the_caller_s(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        with pytest.raises(RedisReplyError, match="as it must"):
            await client.run(Script.of("fails", "return redis.error_reply('ERR as it must')"), [], [])


async def test_pushed_messages_reach_their_listener_and_answers_their_callers(redis_url: str, prefix: str) -> None:
    heard: list[Sequence[str]] = []
    channel = f"{prefix}:news"

    async with client_of(redis_url, on_push=heard.append) as subscriber, client_of(redis_url) as publisher:
        await subscriber.call("SUBSCRIBE", channel)
        for number in range(100):
            await publisher.call("PUBLISH", channel, number)
        await eventually(lambda: len(heard) == 100)

        assert [list(push) for push in heard] == [["message", channel, str(number)] for number in range(100)]
        assert await subscriber.call("PING") is not None


async def test_a_closed_client_refuses_calls_and_may_be_closed_twice(redis_url: str) -> None:
    client = Client(Endpoint.from_url(redis_url))
    await client.call("PING")
    await client.close()
    await client.close()

    with pytest.raises(ClientClosed, match="closed by its owner"):
        await client.call("PING")


async def test_a_client_that_is_closed_while_it_opens_leaves_no_connection(own_redis: RedisServer) -> None:
    client = Client(Endpoint.from_url(own_redis.url))
    calling = asyncio.ensure_future(client.call("PING"))
    await asyncio.sleep(0)  # one turn: the opening has begun
    await client.close()
    await asyncio.gather(calling, return_exceptions=True)

    async def none_is_left() -> bool:
        return await connections(own_redis) == 0

    await eventually(none_is_left)
    assert calling.cancelled() or isinstance(calling.exception(), RedisUnavailable)


# TLS


@dataclass(frozen=True, slots=True)
class TlsServer:
    """A Redis that speaks TLS on `port`, with a certificate that only `authority` vouches for."""

    port: int
    authority: Path
    stranger: Path

    def url(self, **options: str) -> str:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"rediss://localhost:{self.port}/0?{query}"


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    folder = tmp_path_factory.mktemp("tls")
    with tls_redis(folder) as server:
        yield server


@contextmanager
def tls_redis(folder: Path) -> Generator[TlsServer]:
    certificate, key = write_certificate(folder, "server")
    stranger, _ = write_certificate(folder, "stranger")
    port = free_port()
    options = (
        *("--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
        *("--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"),
    )
    with running_redis(appendonly=False, options=options):
        yield TlsServer(port, certificate, stranger)


def write_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for localhost that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


async def test_tls_with_a_known_authority_serves(tls_server: TlsServer) -> None:
    async with client_of(tls_server.url(ssl_ca_certs=str(tls_server.authority))) as client:
        assert await client.call("ECHO", "in secret") == "in secret"
        assert await asyncio.gather(*(client.call("ECHO", number) for number in range(100))) == [
            str(number) for number in range(100)
        ]


async def test_tls_with_an_unknown_authority_is_refused_and_says_why(tls_server: TlsServer) -> None:
    async with client_of(tls_server.url(ssl_ca_certs=str(tls_server.stranger))) as client:
        with pytest.raises(RedisUnavailable, match=r"localhost:\d+ is not available: .*certificate verify failed"):
            await client.call("PING")


async def test_tls_to_a_host_that_the_certificate_does_not_name_is_refused(tls_server: TlsServer) -> None:
    url = tls_server.url(ssl_ca_certs=str(tls_server.authority)).replace("localhost", HOST)
    async with client_of(url) as client:
        with pytest.raises(RedisUnavailable, match=r"certificate is not valid for|mismatch"):
            await client.call("PING")


async def test_tls_without_verification_serves_where_the_url_asks_for_it(tls_server: TlsServer) -> None:
    async with client_of(tls_server.url(ssl_cert_reqs="none")) as client:
        assert await client.call("ECHO", "unchecked") == "unchecked"


async def test_a_certificate_file_that_is_not_there_is_a_wrong_setting(tls_server: TlsServer) -> None:
    async with client_of(tls_server.url(ssl_ca_certs="/nowhere/ca.pem")) as client:
        with pytest.raises(SettingsError, match=r"REDIS_URL: cannot read the TLS certificate .* /nowhere/ca.pem"):
            await client.call("PING")


async def test_tls_to_a_server_that_speaks_none_is_refused(redis_server: RedisServer) -> None:
    async with client_of(f"rediss://{HOST}:{redis_server.port}/0", timeouts=Timeouts(connect_s=2.0)) as client:
        with pytest.raises(RedisUnavailable):
            await client.call("PING")


async def test_a_script_that_is_forgotten_twice_runs_all_the_same(redis_url: str) -> None:
    """A flush between the load and the second try was an error of the call: the job it was for ran again."""
    client = Client(Endpoint.from_url(redis_url))
    script = Script.of("answer", "return {'answer', ARGV[1]}")
    flushing = True

    async def flush() -> None:
        other = Client(Endpoint.from_url(redis_url))
        while flushing:
            await other.call("SCRIPT", "FLUSH")
        await other.close()

    flusher = asyncio.ensure_future(flush())
    answers = [await client.run(script, [], [number]) for number in range(300)]
    flushing = False
    await flusher
    await client.close()

    assert answers == [["answer", str(number)] for number in range(300)]
