"""Proxy: a program that stands before Redis like a network of some length: it delays, and limits nothing.

`python -m jobqueue.bench.proxy PORT ROUND_TRIP_MS` forwards to 127.0.0.1:PORT, prints the port that it listens on, and
runs until it is killed or its standard input ends.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections import deque
from collections.abc import Callable
from typing import cast

HOST = "127.0.0.1"
_PATIENCE_BYTES = 64 * 1024 * 1024


class Way(asyncio.Protocol):
    """One direction: what comes in goes out on the other side, each chunk as much later as it came."""

    def __init__(self, delay_s: float, on_open: Callable[[Way], None]) -> None:
        self._delay_s = delay_s
        self._on_open = on_open
        self._loop = asyncio.get_running_loop()
        self._travelling: deque[tuple[float, bytes]] = deque()
        self._next: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None
        self.other: Way | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=_PATIENCE_BYTES)
        self._on_open(self)

    def join(self, other: Way) -> None:
        """Both sides are open; what came before has waited."""
        self.other, other.other = other, self
        early, self._early = self._early, []
        for chunk in early:
            self.data_received(chunk)

    def data_received(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self._early.append(data)
        elif not self._delay_s:
            self.other.transport.write(data)
        else:
            self._travelling.append((self._loop.time() + self._delay_s, data))
            if self._next is None:
                self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._next is not None:
            self._next.cancel()
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def _arm(self) -> None:
        self._next = self._loop.call_at(self._travelling[0][0], self._arrive)

    def _arrive(self) -> None:
        now, due = self._loop.time(), list[bytes]()
        while self._travelling and self._travelling[0][0] <= now:
            due.append(self._travelling.popleft()[1])
        if due and self.other is not None and self.other.transport is not None:
            self.other.transport.write(b"".join(due))
        self._next = None
        if self._travelling:
            self._arm()


async def serve(port: int, round_trip_s: float) -> None:
    """Print the port, and forward until standard input ends."""
    loop, opening = asyncio.get_running_loop(), set[asyncio.Task[object]]()

    def opened(client: Way) -> None:
        def join(server: Way) -> None:
            client.join(server)

        task: asyncio.Task[object] = loop.create_task(
            loop.create_connection(lambda: Way(round_trip_s / 2, join), HOST, port)
        )
        opening.add(task)
        task.add_done_callback(opening.discard)

    server = await loop.create_server(lambda: Way(round_trip_s / 2, opened), HOST, 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()


def main() -> None:
    # select() waits to the microsecond; epoll, and so uvloop, to the millisecond, which is all of a short network.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))


if __name__ == "__main__":
    main()
