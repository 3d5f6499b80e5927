"""Private Redis: a real server for one test run, ended with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from jobqueue.redis.embedded import EmbeddedRedis

T = TypeVar("T")


@contextmanager
def private_redis() -> Generator[str]:
    """A Redis server of this process alone, for the length of the block; its URL.

    It is the first that is found: `redis-server` or `valkey-server` on PATH, or that of the `embedded` extra. It
    listens on a unix socket that no other user can open, and ends with this process, even if that is killed.
    Concurrency: may be used whether or not an event loop runs. Raises: EmbeddedRedisMissing; EmbeddedRedisError.
    """
    with TemporaryDirectory(prefix="jobqueue-test-") as directory:
        server = EmbeddedRedis(Path(directory))
        url = _on_a_loop_of_its_own(server.start)
        try:
            yield url
        finally:
            _on_a_loop_of_its_own(server.stop)


def _on_a_loop_of_its_own(act: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """In a thread, since the loop of this one may be at work, or belong to a test runner that has plans with it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(act())).result()
