"""What a connection has handed out it lets go of, and no answer is harmed by that."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

import pytest

from jobqueue.redis.client import PushListener
from jobqueue.redis.connection import Connection, pack
from jobqueue.redis.opening import open_connection
from jobqueue.redis.url import Endpoint
from tests.support.redis_server import RedisServer

TIMEOUT_S = 20.0
MB: Final = 1_000_000
LARGE_MB: Final = 64
"""Above 32 MiB the C library asks the kernel for each block, and gives it back as it is freed."""


@asynccontextmanager
async def connected(url: str, on_push: PushListener | None = None) -> AsyncGenerator[Connection]:
    connection = await open_connection(Endpoint.from_url(url), name=None, timeout_s=TIMEOUT_S, on_push=on_push)
    try:
        yield connection
    finally:
        await connection.close()


def ask(connection: Connection, *words: str | int) -> asyncio.Future[object]:
    return connection.send(pack(*words), TIMEOUT_S)


def memory_mb() -> int:
    """Of this process, as the kernel counts it."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // MB


async def length_of(answer: Awaitable[object]) -> int:
    """The answer itself is gone on return."""
    return len(cast(str, await answer))


@pytest.mark.parametrize("others", [0, 1, 20])
async def test_a_large_answer_is_not_kept_once_its_caller_has_it(own_redis: RedisServer, others: int) -> None:
    """A worker at rest kept the whole of a 100 MB job until the next one came, in the memory that answers are read
    into: hiredis gives that back when it is fed next, if then it is empty; and it does not count as empty before a
    kilobyte of answers has come, where a small one was read together with the end of the large one.
    """
    async with connected(own_redis.url) as connection:
        await ask(connection, "SETRANGE", "large", LARGE_MB * MB - 1, "x")
        before_mb = memory_mb()

        large = ask(connection, "GET", "large")
        small = [ask(connection, "ECHO", number) for number in range(others)]
        length = await length_of(large)
        echoes = await asyncio.gather(*small)
        del large
        await asyncio.sleep(0)  # one turn: the one that an answer has woken still holds it

        assert length == LARGE_MB * MB
        assert echoes == [str(number) for number in range(others)]
        assert memory_mb() - before_mb < LARGE_MB // 2


async def test_a_push_is_not_kept_either(own_redis: RedisServer) -> None:
    """Nobody waits for a push, and none may follow for hours."""
    lengths: asyncio.Queue[int] = asyncio.Queue()

    def note_length(push: Sequence[str]) -> None:
        lengths.put_nowait(len(push[2]))

    async with connected(own_redis.url) as other, connected(own_redis.url, note_length) as connection:
        await ask(other, "CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0")
        await ask(connection, "SUBSCRIBE", "news")
        before_mb = memory_mb()

        await ask(other, "EVAL", f"redis.call('PUBLISH', KEYS[1], string.rep('x', {LARGE_MB * MB}))", 1, "news")

        assert await lengths.get() == LARGE_MB * MB
        assert memory_mb() - before_mb < LARGE_MB // 2


async def test_answers_that_come_in_any_pieces_are_whole(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece ends with a line, also in the middle of an answer: nothing is left to read then, and yet what has been
    read is needed still.
    """

    def in_lines(take: Callable[[bytes], None]) -> Callable[[bytes], None]:
        def take_each(data: bytes) -> None:
            for line in data.splitlines(keepends=True):
                take(line)

        return take_each

    texts = [letter * (MB // 2) for letter in "abcdef"]
    async with connected(own_redis.url) as connection:
        await ask(connection, "MSET", *[word for text in texts for word in (text[0], text)])
        monkeypatch.setattr(connection, "data_received", in_lines(connection.data_received))

        asked = [(ask(connection, "MGET", *"abcdef"), ask(connection, "ECHO", number)) for number in range(8)]
        answers = [(await large, await small) for large, small in asked]

        assert [small for _, small in answers] == [str(number) for number in range(8)]
        assert all(large == texts for large, _ in answers)
        assert connection.is_open
