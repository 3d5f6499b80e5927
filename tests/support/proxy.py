"""A TCP proxy before a Redis: it counts what passes, and it is a bad network where that is wanted.

It reads Redis's protocol, so that it can lose one answer and no other: what came before it arrives, then the connection
is cut, as a network would do it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

HOST = "127.0.0.1"

Cut: TypeAlias = Callable[[bytes], bool]
"""Given a command of the client: True where the server shall get it, but its answer shall never come back."""

Lost: TypeAlias = Literal["request", "answer"]

_CHUNK: Final = 1 << 20
_QUEUED: Final = 1_000


@dataclass(slots=True)
class Loss:
    """An order: lose the n-th command from now on that holds `needle`, or its answer but for the first bytes of it."""

    needle: bytes
    what: Lost
    nth: int
    after_bytes: int
    done: asyncio.Event

    def meets(self, command: bytes) -> bool:
        """Whether this command is the one; each that holds the needle counts."""
        self.nth -= self.needle in command
        return self.nth == 0 and self.needle in command


class Proxy:
    """Stands between clients and the server at `url`.

    `turns` counts how often a client spoke after the server had: each is one round trip. `cuts` counts the connections
    that were cut. Delays are each way's own, and each takes effect for what passes from then on.
    """

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self.target = (target.hostname or HOST, target.port or 6379)
        self.cut_answer_of: Cut = lambda _: False
        self.answer_bytes_left: int | None = None
        """After so many bytes of answers every connection is cut, in the middle of one if need be."""
        self.request_delay_s = 0.0
        self.answer_delay_s = 0.0
        self.is_tardy = True
        """Whether a request that was held back reaches the server though its sender has given it up meanwhile."""
        self.turns = 0
        self.cuts = 0
        self.requests_pass = asyncio.Event()
        self.answers_pass = asyncio.Event()
        self.speak_again()
        self._losses: list[Loss] = []
        self._server: asyncio.Server | None = None
        self._passages: dict[asyncio.Task[None], _Passage] = {}

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, 0)

    async def stop(self) -> None:
        """Refuse new connections and cut those that are open."""
        if self._server is not None:
            self._server.close()
        self.cut_all()
        await asyncio.gather(*self._passages, return_exceptions=True)

    # Bad networks

    def lose_request(self, needle: str, nth: int = 1) -> asyncio.Event:
        """Cut the connection instead of forwarding the n-th command that holds `needle`; the event tells when."""
        return self._order(needle, "request", nth, 0)

    def lose_answer(self, needle: str, nth: int = 1, after_bytes: int = 0) -> asyncio.Event:
        """Let the server execute the n-th command that holds `needle`, and cut the connection at its answer."""
        return self._order(needle, "answer", nth, after_bytes)

    def go_silent(self, *, requests: bool = True, answers: bool = True) -> None:
        """Forward nothing from now on, in both directions or in one; connections stay open."""
        if requests:
            self.requests_pass.clear()
        if answers:
            self.answers_pass.clear()

    def speak_again(self) -> None:
        """Forward what has been held back, and all that follows."""
        self.requests_pass.set()
        self.answers_pass.set()

    def forget_all(self) -> None:
        """Half open: the server's ends are closed, and nobody tells the clients. New connections are whole."""
        for passage in self._passages.values():
            passage.forget()

    def cut_all(self) -> None:
        """Cut every open connection; the server stays reachable."""
        for connection in self._passages:
            connection.cancel()

    # What passages ask

    async def lets_pass(self, command: bytes) -> bool:
        """False where the connection is to be cut instead."""
        lost = self._met(command, "request")
        if lost is not None:
            lost.done.set()
        return lost is None

    def lost_answer_of(self, command: bytes) -> Loss | None:
        """The order by which the answer to this command is to be lost."""
        lost = self._met(command, "answer")
        if lost is None and self.cut_answer_of(command):
            return Loss(b"", "answer", 0, 0, asyncio.Event())
        return lost

    def bytes_taken(self, size: int) -> int:
        """How many of so many bytes of answers may still pass."""
        if self.answer_bytes_left is None:
            return size
        passing = min(size, self.answer_bytes_left)
        self.answer_bytes_left -= passing
        return passing

    # Inside

    def _order(self, needle: str, what: Lost, nth: int, after_bytes: int) -> asyncio.Event:
        loss = Loss(needle.encode(), what, nth, after_bytes, asyncio.Event())
        self._losses.append(loss)
        return loss.done

    def _met(self, command: bytes, what: Lost) -> Loss | None:
        found = next((loss for loss in self._losses if loss.what == what and loss.meets(command)), None)
        if found is not None:
            self._losses.remove(found)
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        passage = self._passages[task] = _Passage(self, reader, writer)
        try:
            await passage.run()
        except (asyncio.CancelledError, OSError):
            self.cuts += 1
        finally:
            del self._passages[task]
            writer.transport.abort()


class _Passage:
    """One client's connection and its own to the server."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = (reader, writer)
        self._answered = True
        self._commands = 0
        self._answers = 0
        self._losses: dict[int, Loss] = {}
        self._server: asyncio.StreamWriter | None = None
        self._forgotten = False

    def forget(self) -> None:
        """The server's end is closed; what the client sends goes nowhere, and nothing comes back."""
        self._forgotten = True
        if self._server is not None:
            self._server.transport.abort()

    async def run(self) -> None:
        """Pass bytes both ways until either side ends; then both do."""
        opening = asyncio.ensure_future(asyncio.open_connection(*self._proxy.target))
        try:
            server_reader, server = await asyncio.shield(opening)
        except asyncio.CancelledError:
            (await opening)[1].close()
            raise
        self._server, (reader, client) = server, self._client
        requests, answers = _Way(server, self._proxy.requests_pass), _Way(client, self._proxy.answers_pass)
        ends = [asyncio.ensure_future(way.carry()) for way in (requests, answers)]
        readers = [
            asyncio.ensure_future(self._read_requests(reader, requests)),
            asyncio.ensure_future(self._read_answers(server_reader, answers)),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.transport.abort()
            for task in (*ends, *readers):
                task.cancel()
            await asyncio.gather(*ends, *readers, return_exceptions=True)

    async def _read_requests(self, reader: asyncio.StreamReader, way: _Way) -> None:
        buffer = bytearray()
        while request := await _read(reader):
            self._proxy.turns += self._answered
            self._answered = False
            buffer += request
            for command in _taken_from(buffer):
                if not await self._proxy.lets_pass(command):
                    await way.end()
                    return
                loss = self._proxy.lost_answer_of(command)
                if loss is not None:
                    self._losses[self._commands] = loss
                self._commands += 1
                if not self._forgotten:
                    await way.put(command, self._proxy.request_delay_s)
        if not self._proxy.is_tardy:
            way.give_up()
        await way.end()

    async def _read_answers(self, reader: asyncio.StreamReader, way: _Way) -> None:
        buffer = bytearray()
        while answers := await _read(reader):
            self._answered = True
            buffer += answers
            for answer in _taken_from(buffer):
                loss = self._losses.pop(self._answers, None)
                self._answers += 1
                may_pass = len(answer) if loss is None else min(loss.after_bytes, len(answer) - 1)
                passing = self._proxy.bytes_taken(may_pass)
                await way.put(answer[:passing], self._proxy.answer_delay_s)
                if passing < len(answer) or self._proxy.answer_bytes_left == 0:
                    self._proxy.cuts += 1
                    await way.end()
                    if loss is not None:
                        loss.done.set()
                    return
        if self._forgotten:
            await asyncio.Event().wait()  # until the client ends
        await way.end()


class _Way:
    """One direction: what was put is written in order, each after its delay."""

    def __init__(self, writer: asyncio.StreamWriter, passes: asyncio.Event) -> None:
        self._writer = writer
        self._passes = passes
        self._queue: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(_QUEUED)
        self._given_up = False

    async def put(self, data: bytes, delay_s: float) -> None:
        await self._queue.put((asyncio.get_running_loop().time() + delay_s, data))

    def give_up(self) -> None:
        """What is held back will never be written."""
        self._given_up = not self._passes.is_set()

    async def end(self) -> None:
        """What was put before still arrives."""
        await self._queue.put((0, None))

    async def carry(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_s, data = await self._queue.get()
            if due_s > loop.time():
                await asyncio.sleep(due_s - loop.time())  # the delay of the network
            await self._passes.wait()
            if data is None:
                break
            if not self._given_up and not self._writer.transport.is_closing():
                self._writer.write(data)
                await self._writer.drain()
        if self._writer.can_write_eof() and not self._writer.transport.is_closing():
            self._writer.write_eof()
            await asyncio.sleep(0.01)  # the kernel tells nobody that the other side has read


async def _read(reader: asyncio.StreamReader) -> bytes:
    """What has come; nothing where that side has ended, however it did."""
    try:
        return await reader.read(_CHUNK)
    except OSError:
        return b""


def _taken_from(buffer: bytearray) -> list[bytes]:
    """The whole values at the beginning of the buffer, which loses them."""
    taken: list[bytes] = []
    at = 0
    while (end := _end_of_value(buffer, at)) is not None:
        taken.append(bytes(buffer[at:end]))
        at = end
    del buffer[:at]
    return taken


def _end_of_value(data: bytearray, at: int) -> int | None:
    """Where the value of Redis's protocol that begins at `at` ends; None where it has not arrived yet."""
    values = 1
    while values:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            return None
        kind, number = bytes(data[at : at + 1]), data[at + 1 : line_end]
        at, values = line_end + 2, values - 1
        if kind in (b"$", b"=", b"!"):
            at += int(number) + 2 if int(number) >= 0 else 0
        elif kind in (b"*", b"~", b">"):
            values += max(int(number), 0)
        elif kind == b"%":
            values += 2 * int(number)
        if at > len(data):
            return None
    return at


@asynccontextmanager
async def proxied(url: str) -> AsyncGenerator[Proxy]:
    """A proxy before the Redis at `url`, gone with the block."""
    proxy = Proxy(url)
    await proxy.start()
    try:
        yield proxy
    finally:
        proxy.speak_again()
        await proxy.stop()
