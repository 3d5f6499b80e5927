"""Replication: what two servers say of each other while one takes the other's place. It judges what may be lost.

Redis answers before its replica has heard. So who looks at both from beside notes up to when everything that the
master had executed was also in its replica, and when the replica became the master.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from scripts.chaos.ground import NeverQuiet
from scripts.chaos.ledger import clock_us
from tests.support.redis_server import HOST, RedisServer

TAKES_OVER_S: Final = 90.0
_EACH_S: Final = 0.01
_ANSWERS_S: Final = 0.2
_LOOKS: Final = 5


class _Commands(Protocol):
    """The part of redis-py's client that it leaves without types."""

    async def execute_command(self, *command: str) -> Any: ...


class Takeover(NamedTuple):
    """A replica became the master. Units: epoch microseconds.

    What was executed before `confirmed_us` it had; `promoted_us` is when it was seen to be the master, `followed_us`
    when it first had a replica itself.
    """

    confirmed_us: int
    promoted_us: int
    followed_us: int = 0


class Replication(AbstractAsyncContextManager["Replication"]):
    """Looks at a master and its replica a hundred times a second, for the block."""

    def __init__(self, master: RedisServer, replica: RedisServer) -> None:
        self._master, self._other = master.port, replica.port
        self._clients = {server.port: _client(server.port) for server in (master, replica)}
        self._confirmed_us = 0
        self._changed = asyncio.Event()
        self._ending = False
        self._watching: asyncio.Task[None] | None = None
        self.takeovers: list[Takeover] = []

    @property
    def master(self) -> int:
        """The port of the master."""
        return self._master

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True
        if self._watching is not None:
            await self._watching
        for client in self._clients.values():
            await client.aclose()

    async def taken_over(self, before: int, within_s: float = TAKES_OVER_S) -> Takeover:
        """Wait for the takeover that has `before` others before it. Raises: NeverQuiet where nobody takes over."""
        try:
            async with asyncio.timeout(within_s):
                while len(self.takeovers) <= before:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise NeverQuiet(f"nobody has taken over from the master at {self._master}") from None
        return self.takeovers[before]

    async def _watch(self) -> None:
        master_said: Mapping[str, Any] = {}
        while not self._ending:
            began_us, said = clock_us(), await self._ask(self._master)
            if said.get("role") == "master":  # one that was replaced has the other's name already
                master_said = said
            other_said = await self._ask(self._other)
            if _follows(master_said, other_said):
                self.takeovers.append(Takeover(self._confirmed_us, clock_us()))
                self._changed.set()
                self._master, self._other = self._other, self._master
                master_said = {}
            elif said and other_said and await self._has_all(said, other_said):
                self._note(began_us)
            await asyncio.sleep(_EACH_S)  # how often is the subject

    def _note(self, confirmed_us: int) -> None:
        self._confirmed_us = confirmed_us
        if self.takeovers and not self.takeovers[-1].followed_us:
            self.takeovers[-1] = self.takeovers[-1]._replace(followed_us=clock_us())

    async def _has_all(self, said: Mapping[str, Any], other_said: Mapping[str, Any]) -> bool:
        """Whether the replica is as far as the master was, or soon after."""
        for _ in range(_LOOKS):
            if other_said.get("master_replid") != said["master_replid"] or other_said["role"] != "slave":
                return False
            if other_said["slave_repl_offset"] >= said["master_repl_offset"]:
                return True
            other_said = await self._ask(self._other)
        return False

    async def _ask(self, port: int) -> Mapping[str, Any]:
        """What a server says; nothing where it is dead or stands still."""
        try:
            return cast(
                Mapping[str, Any], await cast(_Commands, self._clients[port]).execute_command("INFO", "replication")
            )
        except (RedisError, OSError):
            return {}


def _follows(master_said: Mapping[str, Any], other_said: Mapping[str, Any]) -> bool:
    """Whether the other one is the master's successor: it goes on with its history under a name of its own. An old
    master that wakes up or was started again says that it is a master, too."""
    return other_said.get("role") == "master" and other_said.get("master_replid2") == master_said.get("master_replid")


def _client(port: int) -> Redis:
    return Redis(
        host=HOST,
        port=port,
        socket_timeout=_ANSWERS_S,
        socket_connect_timeout=_ANSWERS_S,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
