"""Delivery: one POST to the address that was checked, in five seconds in all."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeAlias, cast

import httpcore
import httpx
from typing_extensions import override

from handlers.webhooks.address import forbidden_because, host_of, parse_url
from handlers.webhooks.errors import ForbiddenAddress, InvalidSubscription

TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0
MAX_ANSWER_BYTES = 64 * 1024

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) -> its IP addresses, the preferred one first. Raises: OSError where the name is unknown."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver answered with 2xx."""

    status_code: int


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer, 404 or 5xx."""

    error: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Any other answer, or an address that webhooks must not reach."""

    error: str


Answer: TypeAlias = Delivered | Unreachable | Refused

_NO_ANSWER = (
    OSError,  # TimeoutError and the name service's errors among them
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
)


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
        raise httpcore.UnsupportedProtocol("webhooks go over TCP only")

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class WebhookDelivery:
    """Posts bodies: no redirect is followed, no proxy of the environment used, no connection kept.

    Concurrency: any number of posts at once. `allow_private` is for a local environment.
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
            # A kept connection would skip the check of the next delivery.
            max_keepalive_connections=0,
            network_backend=CheckedBackend(resolve=resolve, allow_private=allow_private),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post the body once; what went wrong is in the answer.

        The status line decides. The rest of the answer is read, as far as the time and 64 KiB go, so that the
        receiver can finish writing it, and dropped.
        """
        try:
            target = parse_url(url, allow_private=self._allow_private)
        except InvalidSubscription as error:
            return Refused(str(error))
        status_code: int | None = None
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._connections.stream(
                    "POST",
                    _as_asked(target),
                    headers=_wire_headers(target, headers),
                    content=body,
                    extensions={"timeout": {"connect": CONNECT_TIMEOUT_S}},
                ) as response,
            ):
                status_code = response.status
                await _drain(response)
        except ForbiddenAddress as error:
            return Refused(str(error))
        except _NO_ANSWER as error:
            if status_code is None:
                return Unreachable(self._describe(error))
        return judge(status_code)

    def _describe(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def judge(status_code: int) -> Answer:
    """What a status means for the delivery."""
    if 200 <= status_code < 300:
        return Delivered(status_code)
    phrase = _phrase(status_code)
    if status_code == 404 or status_code >= 500:
        return Unreachable(phrase)
    if 300 <= status_code < 400:
        return Refused(f"{phrase}: redirects are not followed")
    return Refused(phrase)


def _phrase(status_code: int) -> str:
    try:
        return f"{status_code} {HTTPStatus(status_code).phrase}"
    except ValueError:
        return str(status_code)


def _as_asked(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=host_of(url), port=url.port, target=url.raw_path)


def _wire_headers(url: httpx.URL, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    host = f"[{host_of(url)}]" if ":" in host_of(url) else host_of(url)
    authority = host if url.port is None else f"{host}:{url.port}"
    return [("Host", authority), *headers.items(), ("Connection", "close")]


async def _drain(response: httpcore.Response) -> None:
    left_bytes = MAX_ANSWER_BYTES
    async for chunk in response.aiter_stream():
        left_bytes -= len(chunk)
        if left_bytes <= 0:
            return
