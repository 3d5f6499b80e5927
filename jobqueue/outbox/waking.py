"""Waking: how a relay learns that there are new rows without asking for them all the time."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Protocol, cast

from jobqueue.database import Database
from jobqueue.outbox.table import CHANNEL

_LOOK_S: Final = 0.04


class Alarm(ABC):
    """Says that rows may have come. It may be wrong both ways, so whoever waits looks now and then by himself."""

    @abstractmethod
    async def wait(self, timeout_s: float) -> None:
        """Return when rows may have come since the last call returned, or after the time."""


class _FileAlarm(Alarm):
    """SQLite: every commit writes to the file or to the log beside it. A look at both costs some microseconds."""

    def __init__(self, path: Path) -> None:
        self._paths = (path, path.with_name(path.name + "-wal"))
        self._seen = self._look()

    async def wait(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        gives_up_at_s = loop.time() + timeout_s
        while True:
            seen = self._look()
            if seen != self._seen or loop.time() >= gives_up_at_s:
                self._seen = seen
                return
            await asyncio.sleep(min(_LOOK_S, timeout_s))

    def _look(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(map(_stamp, self._paths))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


class _Listening(Protocol):
    """What is used of a connection of asyncpg."""

    async def add_listener(self, channel: str, callback: object) -> None: ...
    def add_termination_listener(self, callback: object) -> None: ...
    def is_closed(self) -> bool: ...


class _NotifyAlarm(Alarm):
    """PostgreSQL: the table has a trigger that notifies, and a commit delivers it."""

    def __init__(self, connection: _Listening) -> None:
        self._connection = connection
        self._rang = asyncio.Event()

    async def listen(self) -> None:
        await self._connection.add_listener(CHANNEL, self._ring)
        self._connection.add_termination_listener(self._ring)

    async def wait(self, timeout_s: float) -> None:
        """Raises: ConnectionError where nobody will ring any more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._rang.wait()
        self._rang.clear()
        if self._connection.is_closed():
            raise ConnectionError("the connection that listens for new rows is lost")

    def _ring(self, *_told: object) -> None:
        self._rang.set()


@asynccontextmanager
async def alarm_of(database: Database) -> AsyncGenerator[Alarm]:
    """The alarm of a database, for the block. Raises: what the database raises."""
    if database.engine.dialect.name == "sqlite":
        yield _FileAlarm(Path(database.engine.url.database or ""))
        return
    async with database.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        alarm = _NotifyAlarm(cast(_Listening, raw.driver_connection))
        await alarm.listen()
        try:
            yield alarm
        finally:
            await connection.invalidate()  # what listens does not go back to the others
