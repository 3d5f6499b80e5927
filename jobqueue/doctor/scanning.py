"""Scanning: large keys and key spaces of Redis, read a batch at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, Literal

from jobqueue.redis.client import Client

BATCH: Final = 1_000


async def keys_like(client: Client, pattern: str, max_scanned: int) -> AsyncIterator[tuple[list[str], bool]]:
    """Batches of keys; True beside the last of all, which is not reached where Redis holds more than `max_scanned`."""
    cursor = "0"
    for _ in range(max(1, max_scanned // BATCH)):
        cursor, keys = await client.call("SCAN", cursor, "MATCH", pattern, "COUNT", BATCH)
        yield keys, cursor == "0"
        if cursor == "0":
            return


async def entries_of(client: Client, kind: Literal["list", "set", "zset"], key: str) -> AsyncIterator[Sequence[str]]:
    """Batches of the entries of a list, set or zset; one that stays is met at least once.

    A list is walked from its head, where jobs come in: what comes meanwhile moves the others on, before the walk.
    """
    if kind != "list":
        async for batch in members_of(client, kind, key):
            yield [*batch]
        return
    first = 0
    while entries := await client.call("LRANGE", key, first, first + BATCH - 1):
        yield entries
        first += BATCH


async def members_of(client: Client, kind: Literal["set", "zset"], key: str) -> AsyncIterator[dict[str, float]]:
    """Batches of members with their scores, 0 in a set; one that stays is met at least once."""
    cursor = "0"
    while True:
        if kind == "set":
            cursor, members = await client.call("SSCAN", key, cursor, "COUNT", BATCH)
            yield dict.fromkeys(members, 0.0)
        else:
            cursor, flat = await client.call("ZSCAN", key, cursor, "COUNT", BATCH)
            yield dict(zip(flat[::2], map(float, flat[1::2]), strict=True))
        if cursor == "0":
            return
