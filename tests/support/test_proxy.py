"""The proxy of the tests and of the chaos programs: a network that is bad in exactly the way that was asked for."""

from __future__ import annotations

import asyncio
import time

import pytest

from jobqueue.errors import ConnectionLost, RedisUnavailable
from jobqueue.redis.client import Client, Timeouts
from jobqueue.redis.url import Endpoint
from tests.support.proxy import proxied


async def test_exactly_the_answer_of_the_nth_such_command_is_lost(redis_url: str, prefix: str) -> None:
    """Those before it, which left in the same write, arrive; the server has executed the command all the same."""
    async with proxied(redis_url) as proxy:
        client = Client(Endpoint.from_url(proxy.url))
        await client.call("PING")
        lost = proxy.lose_answer(prefix, nth=3)

        answers = await asyncio.gather(*(client.call("INCR", prefix) for _ in range(3)), return_exceptions=True)

        assert answers[:2] == [1, 2]
        assert isinstance(answers[2], ConnectionLost)
        assert lost.is_set()
        assert await client.call("INCR", prefix) == 4
        await client.close()


async def test_a_request_that_is_lost_is_not_executed(redis_url: str, prefix: str) -> None:
    async with proxied(redis_url) as proxy:
        client = Client(Endpoint.from_url(proxy.url))
        proxy.lose_request(prefix, nth=2)

        assert await client.call("INCR", prefix) == 1
        with pytest.raises(ConnectionLost):
            await client.call("INCR", prefix)

        assert await client.call("INCR", prefix) == 2
        await client.close()


async def test_each_way_has_its_own_delay(redis_url: str) -> None:
    async with proxied(redis_url) as proxy:
        client = Client(Endpoint.from_url(proxy.url))
        await client.call("PING")
        proxy.request_delay_s, proxy.answer_delay_s = 0.1, 0.2
        began_s = time.monotonic()

        assert await asyncio.gather(*(client.call("PING") for _ in range(20))) == ["PONG"] * 20

        assert 0.3 <= time.monotonic() - began_s < 3.0  # they wait beside each other, not one after another
        await client.close()


async def test_nobody_tells_a_client_that_its_connection_is_half_open(redis_url: str) -> None:
    async with proxied(redis_url) as proxy:
        client = Client(Endpoint.from_url(proxy.url), timeouts=Timeouts(call_s=0.3))
        connection = await client.connect()
        proxy.forget_all()

        with pytest.raises(ConnectionLost):
            await client.call("PING")

        assert not connection.is_open
        assert await client.call("PING") == "PONG", "a new connection is whole"
        await client.close()


async def test_what_was_given_up_in_a_black_hole_never_arrives(redis_url: str, prefix: str) -> None:
    async with proxied(redis_url) as proxy:
        proxy.is_tardy = False
        client = Client(Endpoint.from_url(proxy.url), timeouts=Timeouts(connect_s=0.3, call_s=0.3))
        await client.call("PING")
        proxy.go_silent()

        with pytest.raises(ConnectionLost):
            await client.call("INCR", prefix)
        with pytest.raises(RedisUnavailable):
            await client.call("INCR", prefix)
        proxy.speak_again()

        assert await client.call("INCR", prefix) == 1
        await client.close()
