"""A TCP proxy in front of Redis that loses a chosen request or answer, or goes silent: a bad network on order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from tests.support.redis_server import HOST, RedisServer

_CHUNK = 256 * 1024

Loss = Literal["request", "answer"]


@dataclass(frozen=True, slots=True)
class Order:
    """Lose the first request that holds `needle`, or the answer to it."""

    needle: bytes
    loss: Loss
    done: asyncio.Event


class Proxy:
    """Forwards bytes both ways. Each order is carried out once, and cuts the connection that it meets."""

    def __init__(self, upstream_port: int) -> None:
        self.port = 0
        self._upstream_port = upstream_port
        self._orders: list[Order] = []
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def lose_request(self, needle: str) -> asyncio.Event:
        """Cut the connection instead of forwarding the next request that holds `needle`; the event tells when."""
        return self._order(needle, "request")

    def lose_answer(self, needle: str) -> asyncio.Event:
        """Let the server execute the next request that holds `needle`, and cut the connection when it answers."""
        return self._order(needle, "answer")

    def go_silent(self) -> None:
        """Forward nothing from now on; connections stay open."""
        self._open.clear()

    def speak_again(self) -> None:
        """Forward what has been held back, and all that follows."""
        self._open.set()

    def cut_all(self) -> None:
        """Close every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, until either side ends it."""
        server_reader, server_writer = await asyncio.open_connection(HOST, self._upstream_port)
        ends = {writer, server_writer}
        self._writers |= ends
        lost: asyncio.Future[Order] = asyncio.get_running_loop().create_future()
        pumps = [
            asyncio.ensure_future(self._pump_requests(reader, server_writer, lost)),
            asyncio.ensure_future(self._pump_answers(server_reader, writer, lost)),
        ]
        self._pumps |= set(pumps)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._pumps -= set(pumps)
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    def _order(self, needle: str, loss: Loss) -> asyncio.Event:
        order = Order(needle.encode(), loss, asyncio.Event())
        self._orders.append(order)
        return order.done

    def _met(self, data: bytes) -> Order | None:
        found = next((order for order in self._orders if order.needle in data), None)
        if found is not None:
            self._orders.remove(found)
        return found

    async def _pump_requests(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, lost: asyncio.Future[Order]
    ) -> None:
        while data := await reader.read(_CHUNK):
            await self._open.wait()
            order = self._met(data)
            if order is not None and order.loss == "request":
                order.done.set()
                return
            if order is not None:
                lost.set_result(order)
            server.write(data)

    async def _pump_answers(
        self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, lost: asyncio.Future[Order]
    ) -> None:
        while data := await reader.read(_CHUNK):
            await self._open.wait()
            if lost.done():
                lost.result().done.set()
                return
            client.write(data)


@asynccontextmanager
async def proxied(server: RedisServer) -> AsyncGenerator[Proxy]:
    """A proxy in front of `server`; it ends with the block."""
    proxy = Proxy(server.port)
    listening = await asyncio.start_server(proxy.serve, HOST, 0)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.speak_again()
        listening.close()
        proxy.cut_all()
        await listening.wait_closed()
