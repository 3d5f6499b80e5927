"""The client: one request to the address that was checked, in five seconds in all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Self

import httpcore
import httpx

from handlers.outside.address import host_of
from handlers.outside.connection import CheckedBackend, Resolver, resolve
from handlers.outside.errors import NoAnswer

TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 2.0

_NO_ANSWER: Final = (
    OSError,  # TimeoutError and the name service's errors among them
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
)


class OutsideClient:
    """Sends requests: no redirect is followed, no proxy of the environment used, no connection kept.

    Concurrency: any number of requests at once. `allow_private` is for a local environment; there http passes, too.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        resolve: Resolver = resolve,
        ssl_context: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.allow_private = allow_private
        self._timeout_s = timeout_s
        self._connections = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpcore.default_ssl_context(),
            max_connections=None,
            max_keepalive_connections=0,  # a kept connection would skip the check of the next request
            network_backend=CheckedBackend(resolve=resolve, allow_private=allow_private),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.aclose()

    @asynccontextmanager
    async def request(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncGenerator[httpcore.Response]:
        """Send one request to a URL of `parse_url`; the block reads what it wants of the answer, in the same time.

        Raises: ForbiddenAddress; NoAnswer, also where the answer breaks off or is late in the block.
        """
        target = httpcore.URL(scheme=url.raw_scheme, host=host_of(url), port=url.port, target=url.raw_path)
        wire_headers = [("Host", _authority(url)), *headers.items(), ("Connection", "close")]
        timeouts = {"timeout": {"connect": CONNECT_TIMEOUT_S}}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._connections.stream(
                    method, target, headers=wire_headers, content=body, extensions=timeouts
                ) as response,
            ):
                yield response
        except _NO_ANSWER as error:
            raise NoAnswer(self._describe(error)) from error

    def _describe(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _authority(url: httpx.URL) -> str:
    host = f"[{host_of(url)}]" if ":" in host_of(url) else host_of(url)
    return host if url.port is None else f"{host}:{url.port}"
