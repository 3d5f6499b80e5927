"""Slot kills: workers killed idle, at work, as a slot comes, and after a pick-up before the next slot's job is made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from scripts.chaos.crew import START_S, Crew
from scripts.chaos.ground import Ground
from scripts.chaos.ledger import runs

Manner: TypeAlias = Literal["any", "at work", "as a slot comes", "before the next is made"]
MANNERS: Final[tuple[Manner, ...]] = ("before the next is made", "at work", "as a slot comes", "any")
_TRIES: Final = 8
_LATEST_S: Final = 0.004
"""After a slot's time its job has been picked up, and the next one been made, within a few milliseconds."""


@dataclass(slots=True)
class SlotKills:
    """Kills one worker after the other, in each manner in turn. `done` counts those that came as they were meant."""

    crew: Crew
    site: Ground
    schedulers: Sequence[str]
    done: dict[Manner, int] = field(default_factory=lambda: dict.fromkeys(MANNERS, 0))

    async def go_on(self, each_s: float) -> None:
        """One each so many seconds, for ever; later where a busy machine would have nobody left to make slots."""
        next_s, number = time.monotonic() + each_s, 0
        while True:
            await asyncio.sleep(max(next_s - time.monotonic(), 0))  # the moment is the subject
            next_s += each_s
            await self.site.until(lambda: len(self.crew.pids) > 1, START_S, "two workers serve")
            manner = MANNERS[number % len(MANNERS)]
            number += 1
            victim = await self._victim(manner)
            if victim is not None:
                self.crew.kill(victim)
                self.done[manner] += 1

    async def _victim(self, manner: Manner) -> int | None:
        if manner == "at work":
            return await self._at_work()
        if manner == "before the next is made":
            return await self._before_the_next_is_made()
        if manner == "as a slot comes":
            await self._until_a_slot()
        return self.site.chance.choice(self.crew.pids) if self.crew.pids else None

    async def _at_work(self) -> int | None:
        """A process in which a run has begun and not ended."""
        gives_up_at_s = time.monotonic() + 3
        while time.monotonic() < gives_up_at_s:
            at_work = [run.pid for run in runs(self.site.ledger.entries()) if run.how == "open"]
            if at_work:
                return self.site.chance.choice(at_work)
            await asyncio.sleep(0.02)  # a poll of the ledger
        return None

    async def _before_the_next_is_made(self) -> int | None:
        """All stand still just after a slot's time; Redis tells who has picked its job up and made no next one."""
        for _ in range(_TRIES):
            await self._until_a_slot()
            pids = self.crew.pids
            for pid in pids:
                self.crew.freeze(pid)
            try:
                victim = await self._has_made_no_next()
                if victim is not None:
                    self.crew.kill(victim)
                    return victim
            finally:
                for pid in pids:
                    self.crew.thaw(pid)
        return None

    async def _has_made_no_next(self) -> int | None:
        for scheduler_id in self.schedulers:
            slot = await self.site.ask("ZSCORE", self.site.keys.of("repeat"), scheduler_id)
            job_id = f"repeat:{scheduler_id}:{int(slot or 0)}"
            [(started, worker)] = (await self.site.hashes([job_id], "processedOn", "pb")).values()
            if started is not None and worker is not None:
                return int(worker.rpartition("-")[2])
        return None

    async def _until_a_slot(self) -> None:
        await asyncio.sleep(1 - time.time() % 1 + self.site.chance.uniform(0, _LATEST_S))  # the moment is the subject
