"""Ground: what every program stands on: a Redis of its own, settings, an app that enqueues, a ledger, a seed."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, cast

from redis.asyncio import Redis

from jobqueue import App, Registry
from jobqueue.keys import QueueKeys
from jobqueue.registry import load_registry
from jobqueue.settings import Settings
from scripts.chaos.crew import WORKER, Crew
from scripts.chaos.ledger import Ledger
from tests.support.redis_server import RedisServer, running_redis

QUEUE: Final = "jobs"
UNFINISHED: Final = ("wait", "active", "delayed", "prioritized", "waiting-children")
NEVER_FULL: Final = 1_000_000_000
"""A depth that no program reaches that is not about it."""
_POLL_S: Final = 0.2


class _Commands(Protocol):
    """The part of redis-py's client that it leaves without types."""

    async def execute_command(self, *command: str | float) -> Any: ...


class NeverQuiet(AssertionError):
    """Something that must come to pass did not in the time that it has."""


@dataclass(frozen=True, slots=True)
class Ground:
    """One program's ground; `chance` is drawn from its seed."""

    folder: Path
    server: RedisServer
    redis: Redis
    settings: Settings
    app: App
    registry_name: str
    seed: int
    chance: random.Random
    accepted: list[str] = field(default_factory=list[str])
    """Ids of the jobs that the producer was told are stored."""

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folder / "ledger")

    @property
    def keys(self) -> QueueKeys:
        return QueueKeys(self.settings.jobs_prefix, QUEUE)

    def crew(self, places: int, of_places: Sequence[Mapping[str, str]] = (), *, module: str = WORKER) -> Crew:
        """So many worker processes for the block, or others; `of_places` adds to the environment of the first ones."""
        return Crew(self.settings, self.ledger, self.registry_name, places, of_places, module)

    async def ask(self, *command: str | float) -> Any:
        """Any command of Redis, and its answer."""
        return await cast(_Commands, self.redis).execute_command(*command)

    async def all_keys(self) -> list[str]:
        """Every key of the queue, without the queue's own beginning."""
        found = cast(list[str], await self.ask("KEYS", self.keys.base + "*"))
        return [key.removeprefix(self.keys.base) for key in found]

    async def unfinished(self) -> dict[str, int]:
        """How many jobs are in each state that is not an end."""
        pipe = self.redis.pipeline(transaction=True)
        for word in UNFINISHED:
            key = self.keys.of(word)
            pipe.llen(key) if word in ("wait", "active") else pipe.zcard(key)
        return dict(zip(UNFINISHED, cast(list[int], await pipe.execute()), strict=True))

    async def quiet(self, deadline_s: float, states: Sequence[str] = UNFINISHED) -> list[str]:
        """Wait until no job is unfinished, or in one of `states`; returns what is left where that takes too long."""
        gives_up_at_s = time.monotonic() + deadline_s
        while True:
            left = {word: count for word, count in (await self.unfinished()).items() if count and word in states}
            if not left:
                return []
            if time.monotonic() > gives_up_at_s:
                return [f"{count} {word} after {deadline_s:.0f} s" for word, count in left.items()]
            await asyncio.sleep(_POLL_S)  # nothing tells that a queue is empty

    async def whereabouts(self, job_id: str) -> str:
        """What Redis still knows about a job that has not ended: where it is listed, and its hash."""
        words = [word for word in UNFINISHED if await self._lists(word, job_id)]
        fields = await self.redis.hgetall(self.keys.job(job_id))
        return f"job {job_id} is in {words or 'no list'}, its hash is {fields}"

    async def _lists(self, word: str, job_id: str) -> bool:
        command = "LPOS" if word in ("wait", "active") else "ZSCORE"
        return await self.ask(command, self.keys.of(word), job_id) is not None

    async def any_job(self, state: str, chance: random.Random) -> str | None:
        """Some job of that state, by chance."""
        key = self.keys.of(state)
        if state in ("wait", "active"):
            count = await self.ask("LLEN", key)
            found = await self.ask("LINDEX", key, chance.randrange(count)) if count else None
        else:
            found = await self.ask("ZRANDMEMBER", key)
        return None if found is None else str(found)

    async def lost(self, job_ids: Sequence[str]) -> list[str]:
        """Which of the jobs have no end, and what is known of them."""
        ends = await self.hashes(job_ids, "finishedOn")
        return [await self.whereabouts(job_id) for job_id, end in ends.items() if end[0] is None]

    async def until(self, is_so: Callable[[], Awaitable[bool] | bool], deadline_s: float, what: str) -> None:
        """Wait until it is so. Raises: NeverQuiet, naming `what` was waited for."""
        gives_up_at_s = time.monotonic() + deadline_s
        while True:
            answer = is_so()
            if answer if isinstance(answer, bool) else await answer:
                return
            if time.monotonic() > gives_up_at_s:
                raise NeverQuiet(f"after {deadline_s:.0f} s still not so: {what}")
            await asyncio.sleep(0.01)  # a poll of a file and of Redis

    async def hashes(self, job_ids: Sequence[str], *fields: str) -> dict[str, tuple[str | None, ...]]:
        """Some fields of many jobs' hashes."""
        found: dict[str, tuple[str | None, ...]] = {}
        for first in range(0, len(job_ids), 1_000):
            some = job_ids[first : first + 1_000]
            pipe = self.redis.pipeline(transaction=False)
            for job_id in some:
                pipe.hmget(self.keys.job(job_id), fields)
            answers = cast(list[list[str | None]], await pipe.execute())
            found |= {job_id: tuple(answer) for job_id, answer in zip(some, answers, strict=True)}
        return found


@asynccontextmanager
async def ground(
    registry_name: str,
    seed: int,
    server: AbstractContextManager[RedisServer] | None = None,
    database_url: str | None = None,
    /,
    **settings: int,
) -> AsyncGenerator[Ground]:
    """A private Redis without persistence and all that belongs to it, for the block. `settings` are the workers'.

    Where neither is named, the server is the machine's, and the database SQLite's in the ground's folder.
    """
    starting = server or running_redis(appendonly=False)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, starting as started:
        where = {"redis_url": started.url, "database_url": database_url or f"sqlite+aiosqlite:///{folder}/jobqueue.db"}
        roomy = {"jobs_max_queue_depth": NEVER_FULL} | settings
        told = Settings.load(**where, jobs_prefix="chaos", jobs_queue=QUEUE, **roomy)
        async with started.client() as redis, App(_registry(registry_name), told) as app:
            yield Ground(Path(folder), started, redis, told, app, registry_name, seed, random.Random(seed))


def _registry(name: str) -> Registry:
    return load_registry(name)
