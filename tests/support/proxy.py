"""A TCP proxy before a Redis, that counts what passes and cuts connections where a test wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

HOST = "127.0.0.1"

Cut = Callable[[bytes], bool]
"""Given what the client sent: True where the server shall get it, but the answer shall never come back."""


class Proxy:
    """Stands between a client and the server at `url`.

    `turns` counts how often the client spoke after the server had: each is one round trip. A request for which
    `cut_answer_of` says True reaches the server; its answer does not reach the client, whose connection is cut.
    """

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname or HOST, target.port or 6379)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.cut_answer_of: Cut = lambda _: False
        self.answer_bytes_left: int | None = None
        """After so many bytes of answers every connection is cut, in the middle of one if need be."""
        self.turns = 0
        self.cuts = 0

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"redis://{HOST}:{self._server.sockets[0].getsockname()[1]}/0"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, 0)

    async def stop(self) -> None:
        """Refuse new connections and cut those that are open."""
        if self._server is not None:
            self._server.close()
        self.cut_all()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut_all(self) -> None:
        """Cut every open connection; the server stays reachable."""
        for connection in self._connections:
            connection.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await _Passage(self, reader, writer).run(*self._target)
        except (asyncio.CancelledError, OSError):
            self.cuts += 1
        finally:
            self._connections.discard(task)
            writer.transport.abort()


class _Passage:
    """One client's connection and its own to the server."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = (reader, writer)
        self._answered = True
        self._muted = False

    async def run(self, host: str, port: int) -> None:
        """Pass bytes both ways until either side ends; then both do."""
        opening = asyncio.ensure_future(asyncio.open_connection(host, port))
        try:
            server_reader, server_writer = await asyncio.shield(opening)
        except asyncio.CancelledError:
            (await opening)[1].close()
            raise
        reader, writer = self._client
        ways = [
            asyncio.ensure_future(self._requests(reader, server_writer)),
            asyncio.ensure_future(self._answers(server_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server_writer.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(1 << 20):
            self._proxy.turns += self._answered
            self._answered = False
            self._muted = self._muted or self._proxy.cut_answer_of(request)
            writer.write(request)
            await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answer := await reader.read(1 << 20):
            if self._muted:
                self._proxy.cuts += 1
                return
            self._answered = True
            left = self._proxy.answer_bytes_left
            writer.write(answer if left is None else answer[:left])
            await writer.drain()
            if left is not None:
                self._proxy.answer_bytes_left = max(left - len(answer), 0)
                if left <= len(answer):
                    await _emptied(writer)
                    return


async def _emptied(writer: asyncio.StreamWriter) -> None:
    """Half a goodbye: what was written arrives before the connection is cut."""
    writer.write_eof()
    await asyncio.sleep(0.01)  # the kernel tells nobody that the other side has read


@asynccontextmanager
async def proxied(url: str) -> AsyncGenerator[Proxy]:
    """A proxy before the Redis at `url`, gone with the block."""
    proxy = Proxy(url)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
