"""A real HTTP receiver on 127.0.0.1: it keeps the exact bytes of every request and reacts as it is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

Reaction: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request. Header names are in lower case."""

    request_line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`reactions` are used up one a request; the last one stays."""

    reactions: list[Reaction]
    port: int = 0
    requests: list[Received] = field(default_factory=list[Received])
    asked_names: list[str | None] = field(default_factory=list[str | None])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await read_request(reader))
        reaction = self.reactions.pop(0) if len(self.reactions) > 1 else self.reactions[0]
        await reaction(writer)


async def read_request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request_line, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Received(request_line, headers, await reader.readexactly(int(headers["content-length"])))


def answer(status_code: int, body: bytes = b"", headers: str = "") -> Reaction:
    """Answer at once and completely."""

    async def react(writer: asyncio.StreamWriter) -> None:
        length = "" if status_code == 204 else f"Content-Length: {len(body)}\r\n"
        writer.write(f"HTTP/1.1 {status_code} Told\r\n{length}{headers}\r\n".encode() + body)
        await writer.drain()

    return react


async def hang(writer: asyncio.StreamWriter) -> None:
    """Never answer; whoever waits gives up first."""
    await writer.wait_closed()


async def close(writer: asyncio.StreamWriter) -> None:
    """Close without a word."""


async def babble(writer: asyncio.StreamWriter) -> None:
    """Answer with something that is not HTTP."""
    writer.write(b"220 mail.example.com ESMTP\r\n")
    await writer.drain()


async def drip_head(writer: asyncio.StreamWriter) -> None:
    """Send a status line and then one header byte at a time, without end."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    await _drip(writer)


async def drip_body(writer: asyncio.StreamWriter) -> None:
    """Answer 200 and send the body one byte at a time, without end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    await _drip(writer)


async def flood(writer: asyncio.StreamWriter) -> None:
    """Answer 200 with a body that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)  # The drip itself: this is the behaviour that the receiver has.


@asynccontextmanager
async def receiving(*reactions: Reaction, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Receiver]:
    """A receiver for the length of the block; without reactions it answers 200."""
    receiver = Receiver(list(reactions) or [answer(200)])
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await receiver.serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    def note_name(_socket: object, name: str | None, _context: ssl.SSLContext) -> None:
        receiver.asked_names.append(name)

    if tls is not None:
        tls.sni_callback = note_name
    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
