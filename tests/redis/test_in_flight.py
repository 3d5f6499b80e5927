"""Many calls in flight on one connection: bounded, in order, and every answer to its own caller whatever happens."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.errors import ConnectionLost, RedisReplyError, RedisUnavailable
from jobqueue.redis.client import Client
from jobqueue.redis.connection import MAX_IN_FLIGHT, Connection, pack
from jobqueue.redis.opening import open_connection
from jobqueue.redis.url import Endpoint
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.proxy import proxied
from tests.support.redis_server import RedisServer

TIMEOUT_S = 20.0
BEYOND = 50
"""Callers that come when the connection is full."""


@make_job
async def echo(ctx: JobContext, number: int) -> int:
    return number


@asynccontextmanager
async def client_of(url: str) -> AsyncGenerator[Client]:
    client = Client(Endpoint.from_url(url))
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Connection]:
    connection = await open_connection(Endpoint.from_url(url), name=None, timeout_s=TIMEOUT_S)
    try:
        yield connection
    finally:
        await connection.close()


def _note(order: deque[int], number: int, _caller: object) -> None:
    order.append(number)


def calls(client: Client, count: int) -> list[asyncio.Task[object]]:
    return [asyncio.create_task(client.call("ECHO", number, timeout_s=TIMEOUT_S)) for number in range(count)]


async def full(server: RedisServer, client: Client) -> tuple[Connection, list[asyncio.Task[object]]]:
    """A server that stands still, and more callers than one connection may have unanswered."""
    connection = await client.connect()
    server.pause()
    callers = calls(client, MAX_IN_FLIGHT + BEYOND)
    await eventually(lambda: connection.in_flight == MAX_IN_FLIGHT)
    return connection, callers


# A drop in the middle


@pytest.mark.parametrize("after_bytes", [0, 1, 7, 8, 100, 555, 1_000, 1_001, 1_389])
async def test_a_drop_in_the_middle_of_the_answers_gives_nobody_an_answer_of_anothers(
    redis_url: str, after_bytes: int
) -> None:
    """Each answer is `$3\\r\\n100\\r\\n` or so: the cuts fall between answers and within them."""
    async with proxied(redis_url) as proxy, client_of(proxy.url) as client:
        await client.connect()
        proxy.answer_bytes_left = after_bytes

        answers = await asyncio.gather(*calls(client, 200), return_exceptions=True)

    answered = [number for number, answer in enumerate(answers) if not isinstance(answer, BaseException)]
    assert [answers[number] for number in answered] == [str(number) for number in answered]
    assert answered == list(range(len(answered))), "answers come in order, so those that came are the first"
    assert all(isinstance(answer, ConnectionLost) for answer in answers[len(answered) :])
    assert len(answered) < 200


@pytest.mark.parametrize("after_bytes", [0, 50, 555, 1_001])
async def test_a_drop_in_the_middle_of_a_batch_keeps_the_answers_that_have_come(
    redis_url: str, after_bytes: int
) -> None:
    async with proxied(redis_url) as proxy, connected(proxy.url) as connection:
        proxy.answer_bytes_left = after_bytes

        replies = await connection.send_all([pack("ECHO", number) for number in range(200)], TIMEOUT_S)

    answered = [reply for reply in replies if isinstance(reply, str)]
    assert len(replies) == 200
    assert answered == [str(number) for number in range(len(answered))]
    assert all(isinstance(reply, ConnectionLost) for reply in replies[len(answered) :])


async def test_after_a_drop_the_next_call_gets_its_own_answer(redis_url: str) -> None:
    """Nothing of the old connection, neither half an answer nor a caller, is carried over to the new one."""
    async with proxied(redis_url) as proxy, client_of(proxy.url) as client:
        await client.connect()
        proxy.answer_bytes_left = 1_001
        await asyncio.gather(*calls(client, 200), return_exceptions=True)
        proxy.answer_bytes_left = None

        assert await asyncio.gather(*calls(client, 50)) == [str(number) for number in range(50)]


async def test_answers_that_came_while_the_loop_was_blocked_are_given_to_their_callers(own_redis: RedisServer) -> None:
    """Callers are answered by quarters. Between two of them the look at the clock found the others overdue, whose
    answers had come long ago, and dropped a healthy connection: 75 of 100 were told that their calls were lost.
    """
    async with client_of(own_redis.url) as client:
        connection = await client.connect()
        answers = [connection.send(pack("ECHO", number), timeout_s=0.6) for number in range(100)]
        await asyncio.sleep(0)  # one turn: all have left
        time.sleep(1.5)  # the subject: a handler that blocks the loop for longer than a call may take

        assert await asyncio.gather(*answers) == [str(number) for number in range(100)]
        assert connection.is_open


# A batch


async def test_an_error_in_a_batch_is_the_answer_to_its_own_command(redis_url: str, prefix: str) -> None:
    async with connected(redis_url) as connection:
        packed = [pack("ECHO", 1), pack("LPUSH", f"{prefix}:nothing"), pack("ECHO", 2)]

        first, wrong, second = await connection.send_all(packed, TIMEOUT_S)

        assert (first, second) == ("1", "2")
        assert isinstance(wrong, RedisReplyError)


async def test_a_batch_whose_caller_has_gone_takes_its_own_answers_with_it(redis_url: str) -> None:
    async with connected(redis_url) as connection:
        batch = connection.send_all([pack("ECHO", number) for number in range(100)], TIMEOUT_S)
        after = connection.send(pack("ECHO", "after"), TIMEOUT_S)
        batch.cancel()

        assert await after == "after"
        assert connection.in_flight == 0


async def test_a_batch_of_nothing_takes_no_answer_of_anothers(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        assert await client.run_all([]) == []
        assert await client.call("ECHO", "mine") == "mine"
        with pytest.raises(ValueError, match="at least one command"):
            (await client.connect()).send_all([], TIMEOUT_S)


# The bound


async def test_no_more_than_the_bound_is_in_flight_and_all_get_their_answers(own_redis: RedisServer) -> None:
    async with client_of(own_redis.url) as client:
        connection, callers = await full(own_redis, client)
        assert not connection.has_room

        own_redis.resume()
        answers = await asyncio.gather(*callers)

        assert answers == [str(number) for number in range(MAX_IN_FLIGHT + BEYOND)]
        assert connection.in_flight == 0
        assert connection.has_room


async def test_callers_without_room_leave_in_the_order_in_which_they_came(own_redis: RedisServer) -> None:
    async with client_of(own_redis.url) as client:
        _, callers = await full(own_redis, client)
        order: deque[int] = deque()
        for number, caller in enumerate(callers):
            caller.add_done_callback(partial(_note, order, number))
        own_redis.resume()
        late = asyncio.create_task(client.call("ECHO", "late"))
        await asyncio.gather(late, *callers)

        assert list(order) == sorted(order)


async def test_a_caller_that_stops_waiting_for_room_gives_its_turn_to_the_next(own_redis: RedisServer) -> None:
    async with client_of(own_redis.url) as client:
        connection, callers = await full(own_redis, client)
        for caller in callers[MAX_IN_FLIGHT::2]:
            caller.cancel()
        own_redis.resume()
        answers = await asyncio.gather(*callers, return_exceptions=True)

        for number, answer in enumerate(answers):
            if number >= MAX_IN_FLIGHT and (number - MAX_IN_FLIGHT) % 2 == 0:
                assert isinstance(answer, asyncio.CancelledError)
            else:
                assert answer == str(number)
        assert connection.has_room


async def test_a_drop_tells_those_without_room_that_nothing_was_sent(own_redis: RedisServer) -> None:
    """Only those whose call has left must fear that it was executed."""
    async with client_of(own_redis.url) as client:
        connection, callers = await full(own_redis, client)
        connection.abort("the cable was cut")
        answers = await asyncio.gather(*callers, return_exceptions=True)

        assert all(type(answer) is ConnectionLost for answer in answers[:MAX_IN_FLIGHT])
        assert all(type(answer) is RedisUnavailable for answer in answers[MAX_IN_FLIGHT:])
        own_redis.resume()


async def test_a_server_that_reads_slowly_holds_its_callers_back(own_redis: RedisServer) -> None:
    """Not only their number is bounded: what the kernel does not take would otherwise pile up in our memory."""
    async with client_of(own_redis.url) as client:
        connection = await client.connect()
        own_redis.pause()
        large = "x" * 1_000_000
        callers = [asyncio.create_task(client.call("ECHO", large, timeout_s=TIMEOUT_S)) for _ in range(100)]
        await eventually(lambda: connection.in_flight > 0 and not connection.has_room)

        assert connection.in_flight < 100
        own_redis.resume()
        assert await asyncio.gather(*callers) == [large] * 100


async def test_more_producers_than_the_bound_store_each_job_once(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    many = 3 * MAX_IN_FLIGHT
    async with App(Registry([echo]), settings(redis_call_ms=30_000)) as app:  # the last one waits for all the others
        results = await asyncio.gather(*(app.enqueue_job(echo, number) for number in range(many)))

    assert len({result.job_id for result in results}) == many
    assert await redis.llen(f"{prefix}:jobs:wait") == many
