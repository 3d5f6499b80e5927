"""Servers that accept a connection and end it before they answer: a proxy without its backend, a Redis going down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.errors import ConnectionLost, RedisUnavailable
from jobqueue.redis.client import Client
from jobqueue.redis.url import Endpoint
from jobqueue.scripts import Script
from tests.conftest import MakeSettings
from tests.support.proxy import proxied
from tests.support.redis_server import HOST, RedisServer


@make_job
async def echo(ctx: JobContext) -> None: ...


@asynccontextmanager
async def closing_server(*, reads_first: bool) -> AsyncGenerator[int]:
    """A server on the port that it yields; it accepts, reads a request where told to, and closes."""

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reads_first:
            await reader.read(1_000)
        writer.close()

    async with await asyncio.start_server(close, HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("reads_first", [False, True], ids=["at once", "after reading"])
@pytest.mark.parametrize("options", [{}, {"job_id": "echo-1"}], ids=["any id", "own id"])
@pytest.mark.parametrize("password", ["", "ada:hunter2@"], ids=["no password", "password"])
async def test_a_job_that_never_left_is_not_said_to_be_stored_perhaps(
    settings: MakeSettings, reads_first: bool, options: dict[str, Any], password: str
) -> None:
    """The connection introduces itself before it carries a call. Where it ended in that moment the caller was told
    OutcomeUnknown, "the job may have been stored": nobody could send it again without fear of sending it twice,
    although nothing of it had left the process.
    """
    async with closing_server(reads_first=reads_first) as port:
        ours = settings(redis_url=f"redis://{password}{HOST}:{port}/0")
        async with App(Registry([echo]), ours) as app:
            with pytest.raises(RedisUnavailable) as refused:
                await app.enqueue_job(echo, **options)

    assert not isinstance(refused.value, ConnectionLost)
    assert f"{HOST}:{port}" in str(refused.value)


async def test_every_caller_that_shares_the_opening_is_told_so(settings: MakeSettings) -> None:
    async with closing_server(reads_first=True) as port:
        client = Client(Endpoint.from_url(f"redis://{HOST}:{port}/0"))

        answers = await asyncio.gather(*(client.call("PING") for _ in range(20)), return_exceptions=True)

        assert {type(answer) for answer in answers} == {RedisUnavailable}
        await client.close()


async def test_a_lost_answer_to_the_loading_of_a_script_leaves_no_doubt_about_its_call(
    redis_server: RedisServer, prefix: str
) -> None:
    """Redis does not know the script, so it has executed nothing yet. Where the answer to loading it was lost, the
    call itself counted as perhaps executed.
    """
    script = Script.of("unknown", f"return '{prefix}'")

    async with proxied(redis_server.url) as proxy:
        client = Client(Endpoint.from_url(proxy.url))
        lost = proxy.lose_answer("LOAD")

        with pytest.raises(RedisUnavailable) as refused:
            await client.run(script, [], [])

        assert lost.is_set()
        assert not isinstance(refused.value, ConnectionLost)
        assert await client.run(script, [], []) == prefix
        await client.close()
