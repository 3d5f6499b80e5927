"""Outages: everything that may be the matter with a Redis that comes back, as a block each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final, TypeAlias

from redis.exceptions import RedisError as RedisPyError

from scripts.chaos.ground import Ground

Outage: TypeAlias = Callable[[Ground, float], AbstractAsyncContextManager[None]]
"""Takes the ground and how long it shall last, which only that of LOADING needs to know."""

NOBODY_LISTENS: Final = ("127.0.0.1", "1")
_PATIENCE_S: Final = 20.0
_BUSY_AFTER_MS: Final = 50


@asynccontextmanager
async def stopped(site: Ground, _: float) -> AsyncGenerator[None]:
    """The server is shut down, and started again with its data."""
    await asyncio.to_thread(site.server.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(site.server.start)


@asynccontextmanager
async def loading(site: Ground, lasts_s: float) -> AsyncGenerator[None]:
    """The server is restarted and reads its data slowly, a key at a time; it answers LOADING meanwhile."""
    await site.ask("BGREWRITEAOF")
    await site.until(lambda: _info(site, "persistence", "aof_rewrite_in_progress", "0"), _PATIENCE_S, "AOF rewritten")
    keys = max(int(await site.ask("DBSIZE")), 1)
    delay_us = int(2 * lasts_s * 1e6 / keys)  # it would take twice as long, and is let go in time
    slowly = ("--key-load-delay", str(delay_us), "--loading-process-events-interval-bytes", "1024")
    await asyncio.to_thread(site.server.stop)
    starting = asyncio.ensure_future(asyncio.to_thread(site.server.start, *slowly))
    try:
        yield
    finally:
        while not starting.done():
            with suppress(RedisPyError):  # it may not listen yet
                await site.ask("CONFIG", "SET", "key-load-delay", 0)
            await asyncio.wait({starting}, timeout=0.1)
        await starting


@asynccontextmanager
async def busy(site: Ground, _: float) -> AsyncGenerator[None]:
    """Somebody's script does not end until it is killed."""
    await site.ask("CONFIG", "SET", "busy-reply-threshold", _BUSY_AFTER_MS)
    endless = asyncio.ensure_future(site.ask("EVAL", "while true do end", 0))
    try:
        yield
    finally:
        await site.ask("SCRIPT", "KILL")
        with suppress(RedisPyError):  # that it was killed
            await endless


@asynccontextmanager
async def full(site: Ground, _: float) -> AsyncGenerator[None]:
    """There is no memory left, and nothing may be evicted: OOM."""
    await site.ask("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", 1)
    try:
        yield
    finally:
        await site.ask("CONFIG", "SET", "maxmemory", 0)


@asynccontextmanager
async def read_only(site: Ground, _: float) -> AsyncGenerator[None]:
    """It is somebody's replica: READONLY."""
    await site.ask("REPLICAOF", *NOBODY_LISTENS)
    try:
        yield
    finally:
        await site.ask("REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def unsaved(site: Ground, _: float) -> AsyncGenerator[None]:
    """A snapshot cannot be written, since a folder has its name, and so nothing may be changed: MISCONF."""
    in_its_place = site.server.directory / "dump.rdb"
    in_its_place.unlink(missing_ok=True)
    in_its_place.mkdir()
    await site.ask("CONFIG", "SET", "save", "3600 1000000")
    await _save(site, "err")
    try:
        yield
    finally:
        in_its_place.rmdir()
        await _save(site, "ok")
        await site.ask("CONFIG", "SET", "save", "")


@asynccontextmanager
async def flushed(site: Ground, _: float) -> AsyncGenerator[None]:
    """Redis forgets all scripts."""
    await site.ask("SCRIPT", "FLUSH")
    yield


@asynccontextmanager
async def normal_killed(site: Ground, _: float) -> AsyncGenerator[None]:
    """Every connection but those that subscribe is closed."""
    await site.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield


@asynccontextmanager
async def pubsub_killed(site: Ground, _: float) -> AsyncGenerator[None]:
    """Every connection that subscribes is closed."""
    await site.ask("CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes")
    yield


@asynccontextmanager
async def replica_killed(site: Ground, _: float) -> AsyncGenerator[None]:
    """A replica comes, makes the server write a snapshot for it, and is thrown out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    try:
        writer.write(b"SYNC\r\n")
        await site.until(lambda: _info(site, "replication", "connected_slaves", "1"), _PATIENCE_S, "there is a replica")
        await site.ask("CLIENT", "KILL", "TYPE", "replica", "SKIPME", "yes")
        while await reader.read(1 << 20):
            pass
        yield
    finally:
        writer.transport.abort()


LASTING: Final[dict[str, Outage]] = {
    "stop": stopped,
    "LOADING": loading,
    "BUSY": busy,
    "OOM": full,
    "READONLY": read_only,
    "MISCONF": unsaved,
}
MOMENTARY: Final[dict[str, Outage]] = {
    "SCRIPT FLUSH": flushed,
    "CLIENT KILL normal": normal_killed,
    "CLIENT KILL pubsub": pubsub_killed,
    "CLIENT KILL replica": replica_killed,
}


async def _save(site: Ground, status: str) -> None:
    """Write a snapshot, and wait until it has ended so."""

    async def has_ended() -> bool:
        known: dict[str, Any] = await site.redis.info("persistence")
        return not known["rdb_bgsave_in_progress"] and known["rdb_last_bgsave_status"] == status

    await site.ask("BGSAVE")
    await site.until(has_ended, _PATIENCE_S, f"the last snapshot is {status}")


async def _info(site: Ground, section: str, name: str, value: str) -> bool:
    known: dict[str, Any] = await site.redis.info(section)
    return str(known[name]) == value
