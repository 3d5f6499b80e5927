"""Stored: what anybody may have written, read without trust: keys of any type, bytes that are no text."""

from __future__ import annotations

from typing import Any

from jobqueue.errors import RedisReplyError
from jobqueue.redis.client import Client


async def read(client: Client, *command: str | int) -> Any:
    """What one key holds; None where that key is of another type than the command is for."""
    try:
        return await client.call(*command)
    except RedisReplyError as error:
        if error.code != "WRONGTYPE":
            raise
        return None


def clean(text: str) -> str:
    """Bytes that are no UTF-8 come from Redis as lone surrogates, which no answer can carry."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
