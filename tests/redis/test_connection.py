"""One connection to a real Redis: every answer to its caller, one write a turn, and an end that nobody mistakes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from jobqueue.errors import ConnectionLost, RedisReplyError, RedisUnavailable
from jobqueue.redis.connection import Connection, pack
from jobqueue.redis.opening import open_connection
from jobqueue.redis.url import Endpoint
from tests.support.eventually import eventually
from tests.support.processes import free_port
from tests.support.redis_server import HOST, RedisServer, running_redis

TIMEOUT_S = 5.0
INTERRUPTED = """
import signal
from jobqueue.redis.connection import pack

class Interrupted(Exception): ...

def interrupt(*_):
    raise Interrupted

signal.signal(signal.SIGALRM, interrupt)
times = 0
while times < 500:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
        while True:
            pack("ECHO", *range(200))
    except Interrupted:
        times += 1
print(times, "times")
"""


@asynccontextmanager
async def connected(url: str, name: str | None = None) -> AsyncGenerator[Connection]:
    connection = await open_connection(Endpoint.from_url(url), name=name, timeout_s=TIMEOUT_S)
    try:
        yield connection
    finally:
        await connection.close()


def ask(connection: Connection, *words: str | int | bytes, timeout_s: float = TIMEOUT_S) -> asyncio.Future[object]:
    return connection.send(pack(*words), timeout_s)


# Answers


async def test_answers_come_to_those_who_asked(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        answers = await asyncio.gather(*(ask(connection, "ECHO", number) for number in range(1_000)))

        assert answers == [str(number) for number in range(1_000)]


async def test_an_answer_whose_caller_has_gone_is_given_to_nobody_else(redis_url: str) -> None:
    async def echo(connection: Connection, number: int) -> object:
        return await ask(connection, "ECHO", number)

    async with connected(redis_url) as connection:
        callers = [asyncio.ensure_future(echo(connection, number)) for number in range(300)]
        await asyncio.sleep(0)  # one turn: all have asked, none has been answered
        for caller in callers[::3]:
            caller.cancel()
        answers = await asyncio.gather(*callers, return_exceptions=True)

        for number, answer in enumerate(answers):
            if number % 3:
                assert answer == str(number)
            else:
                assert isinstance(answer, asyncio.CancelledError)
        assert await ask(connection, "ECHO", "after") == "after"
        assert connection.in_flight == 0


async def test_a_caller_cancelled_before_its_call_leaves_the_order_intact(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        first = ask(connection, "ECHO", "first")
        second = ask(connection, "ECHO", "second")
        first.cancel()

        assert await second == "second"


async def test_an_error_is_the_answer_of_its_own_caller_only(redis_url: str, prefix: str) -> None:
    async with connected(redis_url) as connection:
        await ask(connection, "SET", f"{prefix}:text", "x")
        before = ask(connection, "ECHO", "before")
        wrong = ask(connection, "LPUSH", f"{prefix}:text", "x")
        after = ask(connection, "ECHO", "after")

        with pytest.raises(RedisReplyError) as caught:
            await wrong
        assert caught.value.code == "WRONGTYPE"
        assert (await before, await after) == ("before", "after")


async def test_a_large_answer_in_many_pieces_arrives_whole(redis_url: str, prefix: str) -> None:
    async with connected(redis_url) as connection:
        large = "ä" * 5_000_000
        await ask(connection, "SET", f"{prefix}:large", large)
        got, small = await asyncio.gather(ask(connection, "GET", f"{prefix}:large"), ask(connection, "ECHO", "small"))
        await ask(connection, "DEL", f"{prefix}:large")

        assert got == large
        assert small == "small"


async def test_bytes_that_are_no_text_come_back_as_they_were(redis_url: str, prefix: str) -> None:
    async with connected(redis_url) as connection:
        await ask(connection, "SET", f"{prefix}:bytes", b"\xff\x00\xfe")
        got = await ask(connection, "GETDEL", f"{prefix}:bytes")

        assert isinstance(got, str)
        assert got.encode(errors="surrogateescape") == b"\xff\x00\xfe"


async def test_an_argument_that_cannot_be_sent_disturbs_nobody(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        waiting = ask(connection, "ECHO", "unharmed")
        with pytest.raises(ValueError, match="surrogates not allowed"):
            pack("ECHO", "\ud800")

        assert await waiting == "unharmed"


def test_a_number_that_cannot_be_written_out_is_an_error_and_not_the_end_of_the_process() -> None:
    """Measured with hiredis 3.5.0: pack_command(("A", 10**5000)) is a segmentation fault."""
    with pytest.raises(ValueError, match="integer string conversion"):
        pack("ECHO", 10**5000)


def test_a_signal_handler_may_raise_while_a_command_is_packed() -> None:
    """A second Ctrl-C raises KeyboardInterrupt wherever the program is. That was a segmentation fault, now and then."""
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "500 times\n"), ended.stderr


async def test_the_calls_of_one_turn_leave_in_one_write(own_redis: RedisServer) -> None:
    async def reads(connection: Connection) -> int:
        stats = str(await ask(connection, "INFO", "stats"))
        return int(stats.partition("total_reads_processed:")[2].partition("\r\n")[0])

    async with connected(own_redis.url) as connection, connected(own_redis.url) as observer:
        before = await reads(observer)
        await asyncio.gather(*(ask(connection, "ECHO", number) for number in range(100)))
        observing = 1

        assert await reads(observer) - before - observing == 1


# The end of a connection


async def test_calls_in_flight_when_the_server_dies_are_told_so(own_redis: RedisServer) -> None:
    connection = await open_connection(Endpoint.from_url(own_redis.url), name=None, timeout_s=TIMEOUT_S)
    blocked = [ask(connection, "BLPOP", "nothing", 0, timeout_s=60) for _ in range(3)]
    await asyncio.sleep(0.1)  # lets the calls leave: nothing tells that they have
    await asyncio.to_thread(own_redis.kill)

    for one in blocked:
        with pytest.raises(ConnectionLost, match=f"Redis at {HOST}:{own_redis.port} is not available"):
            await one
    assert not connection.is_open


async def test_a_call_on_a_connection_that_has_ended_is_not_sent_at_all(own_redis: RedisServer) -> None:
    connection = await open_connection(Endpoint.from_url(own_redis.url), name=None, timeout_s=TIMEOUT_S)
    await asyncio.to_thread(own_redis.kill)
    await eventually(lambda: not connection.is_open)

    with pytest.raises(RedisUnavailable) as caught:
        ask(connection, "PING")
    assert not isinstance(caught.value, ConnectionLost), "nothing was sent, so it is safe to try again"


async def test_an_answer_that_never_comes_ends_the_connection_after_the_time_limit(own_redis: RedisServer) -> None:
    connection = await open_connection(Endpoint.from_url(own_redis.url), name=None, timeout_s=TIMEOUT_S)
    own_redis.pause()
    began_s = time.monotonic()
    calls = [ask(connection, "ECHO", number, timeout_s=0.3) for number in range(3)]

    for call in calls:
        with pytest.raises(ConnectionLost, match="no answer in time"):
            await call
    assert 0.3 <= time.monotonic() - began_s < 3
    own_redis.resume()


async def test_a_quick_call_behind_a_slow_one_is_not_taken_for_lost(redis_url: str) -> None:
    """Only the oldest unanswered call counts: those behind it wait for it, and that is no sign of a dead server."""
    async with connected(redis_url) as connection:
        slow = ask(connection, "BLPOP", "nothing-at-all", 1, timeout_s=5)
        quick = ask(connection, "ECHO", "quick", timeout_s=5)

        assert await slow is None
        assert await quick == "quick"


async def test_closing_sends_what_was_queued(redis_url: str, prefix: str) -> None:
    connection = await open_connection(Endpoint.from_url(redis_url), name=None, timeout_s=TIMEOUT_S)
    last = ask(connection, "SET", f"{prefix}:last", "words")
    await connection.close()
    with pytest.raises(ConnectionLost):
        await last

    async with connected(redis_url) as another:

        async def has_arrived() -> bool:
            return await ask(another, "GET", f"{prefix}:last") == "words"

        await eventually(has_arrived)
        await ask(another, "DEL", f"{prefix}:last")


async def test_aborting_fails_the_waiting_calls_at_once(redis_url: str) -> None:
    connection = await open_connection(Endpoint.from_url(redis_url), name=None, timeout_s=TIMEOUT_S)
    call = ask(connection, "BLPOP", "nothing-at-all", 0, timeout_s=60)
    connection.abort("enough")

    with pytest.raises(ConnectionLost, match="enough"):
        await call
    await connection.close()


async def test_a_server_that_speaks_something_else_is_left(unused_port: int) -> None:
    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(speak_http, HOST, unused_port):
        with pytest.raises(RedisUnavailable, match=r"not Redis protocol"):
            await open_connection(Endpoint.from_url(f"redis://{HOST}:{unused_port}"), name=None, timeout_s=TIMEOUT_S)


# Opening


@pytest.fixture
def unused_port() -> int:
    return free_port()


async def test_a_port_where_nobody_listens_is_named(unused_port: int) -> None:
    with pytest.raises(RedisUnavailable, match=f"Redis at {HOST}:{unused_port} is not available"):
        await open_connection(Endpoint.from_url(f"redis://{HOST}:{unused_port}"), name=None, timeout_s=TIMEOUT_S)


async def test_a_server_that_does_not_answer_is_given_up(own_redis: RedisServer) -> None:
    own_redis.pause()
    with pytest.raises(RedisUnavailable, match=r"no connection within 0.3 s"):
        await open_connection(Endpoint.from_url(own_redis.url), name=None, timeout_s=0.3)
    own_redis.resume()


async def test_a_unix_socket_serves_as_well(redis_server: RedisServer) -> None:
    async with connected(redis_server.unix_url) as connection:
        assert await ask(connection, "ECHO", "over a socket") == "over a socket"


async def test_a_unix_socket_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RedisUnavailable, match=r"unix:.*/no.sock is not available: No such file"):
        await open_connection(Endpoint.from_url(f"unix://{tmp_path}/no.sock"), name=None, timeout_s=TIMEOUT_S)


async def test_a_connection_tells_its_name_and_database(redis_url: str) -> None:
    async with connected(redis_url.removesuffix("/0") + "/3", name="bull:abc:w:me") as connection:
        info = str(await ask(connection, "CLIENT", "INFO"))

        assert " name=bull:abc:w:me " in info
        assert " db=3 " in info
        assert info.startswith(f"id={connection.client_id} ")


async def test_a_database_that_is_not_there_is_refused(redis_url: str) -> None:
    with pytest.raises(RedisUnavailable, match="out of range"):
        await open_connection(Endpoint.from_url(redis_url.removesuffix("/0") + "/9999"), name=None, timeout_s=TIMEOUT_S)


async def test_the_right_password_opens() -> None:
    with running_redis(appendonly=False) as server:
        async with server.client() as admin:
            await admin.config_set("requirepass", "s3cret/ä")
            async with connected(f"redis://:s3cret%2F%C3%A4@{HOST}:{server.port}/0") as connection:
                assert await ask(connection, "ECHO", "in") == "in"
                await ask(connection, "ACL", "SETUSER", "ann", "on", ">pass", "~*", "+@all")
            async with connected(f"redis://ann:pass@{HOST}:{server.port}/0") as connection:
                assert await ask(connection, "ACL", "WHOAMI") == "ann"


@pytest.mark.parametrize(("login", "says"), [(":wrong-one@", "WRONGPASS"), ("", "NOAUTH")])
async def test_a_wrong_password_is_refused_and_never_repeated_in_the_error(login: str, says: str) -> None:
    with running_redis(appendonly=False) as server:
        async with server.client() as admin:
            await admin.config_set("requirepass", "s3cret")
            with pytest.raises(RedisUnavailable, match=says) as caught:
                await open_connection(
                    Endpoint.from_url(f"redis://{login}{HOST}:{server.port}/0"), name=None, timeout_s=TIMEOUT_S
                )
            assert "wrong-one" not in str(caught.value)
