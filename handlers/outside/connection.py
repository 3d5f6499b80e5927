"""Connections: made to the addresses that were checked, and to no others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias, cast

import httpcore
from typing_extensions import override

from handlers.outside.address import forbidden_because
from handlers.outside.errors import ForbiddenAddress

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) -> its IP addresses, the preferred one first. Raises: OSError where the name is unknown."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's name service."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that it has checked: between check and connection nothing is resolved again.

    TLS is started above it by the name in the URL, so certificates are verified by that name.
    """

    def __init__(self, *, resolve: Resolver, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        # httpcore declares a stand-in of that name beside the real class, which type checkers find first.
        self._sockets = cast(httpcore.AsyncNetworkBackend, httpcore.AnyIOBackend())

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._checked(host, port)
        failure: Exception = httpcore.ConnectError(f"{host!r} has no address")
        for address in addresses:
            try:
                return await self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _checked(self, host: str, port: int) -> Sequence[str]:
        """The host's addresses; one that is forbidden, even among public ones, forbids the host."""
        addresses = await self._resolve(host, port)
        for address in addresses:
            kind = None if self._allow_private else forbidden_because(address)
            if kind is not None:
                raise ForbiddenAddress(host, address, kind)
        return addresses

    @override
    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol("calls to the outside go over TCP only")

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
