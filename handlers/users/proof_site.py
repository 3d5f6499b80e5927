"""Proofs on a site: one GET to the address that was checked, in five seconds in all."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Final, Self

import httpcore
import httpx

from handlers.users.proof import MAX_BYTES, TOO_LARGE, Found, Missing, OutOfReach, Reading, path_of_proof
from handlers.webhooks.address import host_of, parse_url
from handlers.webhooks.delivery import CheckedBackend, Resolver, resolve
from handlers.webhooks.errors import ForbiddenAddress, InvalidSubscription

TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 2.0

_NOT_NOW: Final = (408, 425, 429)
_NO_ANSWER = (
    OSError,  # TimeoutError and the name service's errors among them
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
)


class ProofSites:
    """Reads proofs as webhooks are delivered: from the address that was checked, without redirects and proxies.

    Concurrency: any number of reads at once. `allow_private` is for a local environment; there http passes, too.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        resolve: Resolver = resolve,
        ssl_context: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._connections = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpcore.default_ssl_context(),
            max_connections=None,
            max_keepalive_connections=0,  # a kept connection would skip the check of the next read
            network_backend=CheckedBackend(resolve=resolve, allow_private=allow_private),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.aclose()

    async def read(self, url: str, hostname: str) -> Reading:
        """Get the proof once; what went wrong is in the answer.

        A redirect is not followed: many sites send on to wherever a visitor asks to be sent.
        """
        try:
            site = parse_url(url, allow_private=self._allow_private)
        except InvalidSubscription as error:
            return Missing(str(error))
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._get(site, hostname)
        except ForbiddenAddress as error:
            return Missing(f"url: {error}")
        except _NO_ANSWER as error:
            return OutOfReach(self._describe(error))

    async def _get(self, site: httpx.URL, hostname: str) -> Reading:
        path = path_of_proof(site.raw_path.decode("ascii"), hostname)
        target = httpcore.URL(scheme=site.raw_scheme, host=host_of(site), port=site.port, target=path)
        timeouts = {"timeout": {"connect": CONNECT_TIMEOUT_S}}
        headers = [("Host", _authority(site)), ("Accept", "application/json"), ("Connection", "close")]
        async with self._connections.stream("GET", target, headers=headers, extensions=timeouts) as response:
            if response.status in _NOT_NOW or response.status >= 500:
                return OutOfReach(f"the site answers {response.status}")
            if response.status != 200:
                return Missing(f"there is no proof: the site answers {response.status}")
            body = bytearray()
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > MAX_BYTES:
                    return TOO_LARGE
            return Found(bytes(body))

    def _describe(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _authority(site: httpx.URL) -> str:
    host = f"[{host_of(site)}]" if ":" in host_of(site) else host_of(site)
    return host if site.port is None else f"{host}:{site.port}"
