"""What the tests of the embedded Redis share: a question to a server, and a program that plays one."""

from __future__ import annotations

from pathlib import Path

from jobqueue.redis.connection import Reply, pack
from jobqueue.redis.opening import open_connection
from jobqueue.redis.url import Endpoint


async def ask(url: str, *command: str) -> Reply:
    """Redis's answer to one command."""
    connection = await open_connection(Endpoint.from_url(url), name=None, timeout_s=5)
    try:
        return await connection.send(pack(*command), timeout_s=5)
    finally:
        await connection.close()


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path
