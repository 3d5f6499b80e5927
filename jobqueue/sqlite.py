"""The connections of a SQLite database: each is a thread of aiosqlite's, and none outlives its database."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from threading import Thread
from typing import cast

import aiosqlite


class SqliteConnection(aiosqlite.Connection):
    """A connection whose thread can be waited for, and which leaves no file open.

    The thread answers the event loop. Where it works for a task that was cancelled meanwhile, nobody waits for that
    answer: it may find the loop closed, and then breaks loudly.
    """

    def __init__(self, open_file: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(self._open, iter_chunk_size=64)
        self._open_file = open_file
        self._file: sqlite3.Connection | None = None
        # A process does not wait at its end for a connection that nobody has closed.
        self._thread.daemon = True

    @property
    def thread(self) -> Thread:
        return self._thread

    def stop(self) -> asyncio.Future[None] | None:
        """Close it after what was asked of it before. Idempotent: only the first caller is given something to await."""
        if not self._running:
            # Its thread would have ended before it came to a second order, and the caller would wait for ever.
            return None
        # aiosqlite forgets a file whose opener was cancelled.
        self._tx.put_nowait((None, self._close_file))
        return cast("asyncio.Future[None] | None", super().stop())

    async def close(self) -> None:
        """Stop it and wait until that is done; nothing where it was told to stop before."""
        if self._running:
            await super().close()
        # Where it was stopped while it was being opened, the file came after that.
        self._connection = None

    def _open(self) -> sqlite3.Connection:
        self._file = self._open_file()
        return self._file

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()


class SqliteConnections:
    """All connections of one engine. `connect` is what SQLAlchemy calls for each."""

    def __init__(self) -> None:
        self._made: set[SqliteConnection] = set()

    async def connect(self, file: str, **options: object) -> SqliteConnection:
        """Raises: sqlite3.OperationalError."""
        open_file: Callable[..., sqlite3.Connection] = sqlite3.connect
        connection = SqliteConnection(partial(open_file, file, **options))
        # Noted before it is opened, which is when its task may be cancelled.
        self._made = {made for made in self._made if made.thread.is_alive()} | {connection}
        await connection
        return connection

    async def close(self) -> None:
        """Close those that are open still, in use or not, and return when their threads are gone."""
        for connection in self._made:
            connection.stop()
        threads = [connection.thread for connection in self._made if connection.thread.is_alive()]
        if threads:
            await asyncio.to_thread(_join, threads)


def _join(threads: Iterable[Thread]) -> None:
    for thread in threads:
        thread.join()
