"""Opening: from an endpoint to a connection that is logged in, has its database selected and its name told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from jobqueue.errors import ConnectionLost, RedisReplyError, RedisUnavailable
from jobqueue.redis.connection import Argument, Connection, pack
from jobqueue.redis.url import Endpoint


async def open_connection(
    endpoint: Endpoint,
    *,
    name: str | None,
    timeout_s: float,
    on_push: Callable[[Sequence[str]], None] | None = None,
) -> Connection:
    """Connect, authenticate, select the database and give the connection its name.

    Raises: RedisUnavailable, naming the address and the reason.
    """
    try:
        async with asyncio.timeout(timeout_s):
            connection = await _connect(endpoint, on_push)
            await _introduce(connection, endpoint, name, timeout_s)
            return connection
    except TimeoutError:
        raise RedisUnavailable(endpoint.address, f"no connection within {timeout_s:g} s") from None
    except OSError as error:
        raise RedisUnavailable(endpoint.address, error.strerror or str(error)) from error


async def _connect(endpoint: Endpoint, on_push: Callable[[Sequence[str]], None] | None) -> Connection:
    loop = asyncio.get_running_loop()

    def make() -> Connection:
        return Connection(endpoint.address, on_push)

    if endpoint.path is not None:
        _, connection = await loop.create_unix_connection(make, endpoint.path)
    else:
        ssl = endpoint.ssl_context()
        server_hostname = endpoint.host if ssl is not None else None
        _, connection = await loop.create_connection(
            make, endpoint.host, endpoint.port, ssl=ssl, server_hostname=server_hostname
        )
    return connection


async def _introduce(connection: Connection, endpoint: Endpoint, name: str | None, timeout_s: float) -> None:
    commands: list[tuple[Argument, ...]] = []
    if endpoint.password is not None:
        user = (endpoint.username,) if endpoint.username else ()
        commands.append(("AUTH", *user, endpoint.password))
    if endpoint.db:
        commands.append(("SELECT", endpoint.db))
    if name:
        commands.append(("CLIENT", "SETNAME", name))
    commands.append(("CLIENT", "ID"))
    answers = [connection.send(pack(*command), timeout_s) for command in commands]
    try:
        connection.client_id = (await asyncio.gather(*answers))[-1]
    except (RedisReplyError, ConnectionLost) as error:
        connection.abort("the server refused the introduction")
        await asyncio.gather(*answers, return_exceptions=True)
        reason = error.reason if isinstance(error, ConnectionLost) else str(error)
        raise RedisUnavailable(endpoint.address, reason) from error
    except asyncio.CancelledError:
        connection.abort("connecting was given up")
        raise
