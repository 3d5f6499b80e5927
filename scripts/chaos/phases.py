"""Phases: the moments of a worker's life in which R17 lets a signal come."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from scripts.chaos.ground import Ground
from scripts.chaos.ledger import Entry
from scripts.chaos.signalled import HANDLERS, Work
from scripts.chaos.under_signal import Command, UnderSignal
from tests.support.redis_server import HOST

Phase: TypeAlias = Literal[
    "unreachable", "starting", "idle", "claiming", "async", "thread", "process", "blocking", "deaf", "recording",
    "grace", "gone", "cron",
]  # fmt: skip
"""Before Redis is reached; while starting; idle; while claiming; a job at work: in its task, in a thread, in a process,
blocking the loop, deaf to its cancellation; while a result is recorded; during the grace; Redis gone; while the cron
table is synced.
"""
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)
AT_WORK: Final = ("async", "thread", "process", "blocking", "deaf")
WAIT_S: Final = 30.0
_OF_NAME: Final = {one.name: one for one in HANDLERS}


@dataclass(slots=True)
class Stage:
    """What a phase needs: the ground, the moment's chance, and the jobs that it has stored."""

    site: Ground
    command: Command
    begins_at_byte: int
    """Of the ledger."""
    jobs: list[str] = field(default_factory=list[str])
    redis_is_away: bool = False

    async def store(self, name: str, *works_ms: int) -> None:
        stored = await self.site.app.enqueue_jobs([(_OF_NAME[name], Work(one)) for one in works_ms])
        self.jobs += [job.job_id for job in stored]

    async def before(self, phase: Phase) -> None:
        """What is to be there when the process starts."""
        if phase in ("unreachable", "starting", "cron"):
            await self.store("async", 5, 5, 300)
        if phase == "cron":
            await self.site.redis.delete(*[self.site.keys.of(key) for key in await self._schedulers()])

    async def reach(self, phase: Phase, one: UnderSignal) -> None:
        """Returns at the moment for the signal. Raises: NeverQuiet where it does not come."""
        chance = self.site.chance
        await self.site.until(lambda: one.is_gone or one.is_armed(), WAIT_S, "the process listens to signals")
        match phase:
            case "unreachable" | "starting":
                await asyncio.sleep(chance.uniform(0, 0.8))  # the moment is the subject
            case "cron":
                await self._cron_sync()
            case "idle":
                await self._idle()
                await asyncio.sleep(chance.uniform(0, 0.3))  # the moment is the subject
            case "claiming":
                await self._idle()
                await self.store("async", *(chance.randint(0, 10) for _ in range(100)))
                await asyncio.sleep(chance.uniform(0, 0.03))  # the moment is the subject
            case "recording":
                await self._recording()
            case "grace":
                await self._idle()
                await self.store("graceful", *(chance.randint(100, 2_000) for _ in range(3)))
                await self._entry("start")
                one.send(signal.SIGTERM)
                await self._entry("told")
            case "gone":
                await self._gone()
            case "async" | "thread" | "process" | "blocking" | "deaf":
                await self._at_work(phase)

    async def after(self) -> None:
        """Redis comes back with all that it had acknowledged."""
        if self.redis_is_away:
            await asyncio.to_thread(self.site.server.restart)
            self.redis_is_away = False

    async def _at_work(self, name: str) -> None:
        chance = self.site.chance
        longest_ms = 400 if name == "blocking" else 4_000
        await self._idle()
        await self.store(name, *(chance.randint(50, longest_ms) for _ in range(3)))
        await self._entry("start")
        await asyncio.sleep(chance.uniform(0, 0.2))  # the moment is the subject

    async def _recording(self) -> None:
        """Redis stands still while handlers return, and goes on at some time after the signal."""
        chance, loop = self.site.chance, asyncio.get_running_loop()
        await self._idle()
        await self.store("async", *(chance.randint(100, 150) for _ in range(3)))
        await self._entry("start")
        self.site.server.pause()
        loop.call_later(chance.uniform(0.2, 0.6), self.site.server.resume)
        await self._entry("end")

    async def _gone(self) -> None:
        chance = self.site.chance
        await self._idle()
        await self.store("async", *(chance.randint(50, 3_000) for _ in range(3)))
        await self._entry("start")
        self.redis_is_away = True
        if chance.random() < 0.5:
            self.site.server.pause()
        else:
            await asyncio.to_thread(self.site.server.kill)
        await asyncio.sleep(chance.uniform(0, 1.5))  # the moment is the subject

    async def _cron_sync(self) -> None:
        """The first scheduler is there, or a little before it."""

        async def has_begun() -> bool:
            return bool(await self.site.ask("EXISTS", self.site.keys.of("repeat")))

        if self.site.chance.random() < 0.5:
            await self.site.until(has_begun, WAIT_S, "the sync has begun")
        else:
            await asyncio.sleep(self.site.chance.uniform(0.2, 0.8))  # the moment is the subject

    async def _idle(self) -> None:
        """As Redis sees it: each worker of the command waits for the marker."""
        expected = 2 if self.command == "--processes 2" else 1

        async def wait_for_work() -> bool:
            clients = await self.site.redis.client_list()
            return sum(client["cmd"] == "bzpopmin" and "b" in client["flags"] for client in clients) >= expected

        await self.site.until(wait_for_work, WAIT_S, "the workers are idle")

    async def _entry(self, what: str) -> None:
        def is_there(entry: Entry) -> bool:
            return entry.what == what and entry.job_id in self.jobs

        await self.site.until(lambda: any(map(is_there, self.entries())), WAIT_S, f"a job's {what}")

    def entries(self) -> list[Entry]:
        """What the runs of this round have said so far."""
        return self.site.ledger.entries(self.begins_at_byte)

    async def _schedulers(self) -> list[str]:
        return [key for key in await self.site.all_keys() if key.startswith(("repeat", "job:cron"))]


@asynccontextmanager
async def nobody(phase: Phase, site: Ground) -> AsyncGenerator[dict[str, str]]:
    """Where the process is to find its Redis: in one phase nowhere, or where connections are never accepted."""
    if phase != "unreachable":
        yield {}
        return
    with socket.socket() as deaf:
        deaf.bind((HOST, 0))
        if site.chance.random() < 0.5:
            deaf.listen(0)
        yield {"REDIS_URL": f"redis://{HOST}:{deaf.getsockname()[1]}/0"}
