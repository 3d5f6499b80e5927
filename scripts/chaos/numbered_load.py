"""Load of R3: numbered jobs from several callers, each asked for until it is known whether it is stored."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from scripts.chaos.ledger import clock_us
from scripts.chaos.numbered import Numbered
from scripts.chaos.sides import InDoubt, NotStored, Side

CALLERS: Final = 8
LEAST_MS, MOST_MS = 10, 50
_REST_S: Final = 0.1


@dataclass(slots=True)
class Load:
    """Every second job has an id of its own and is asked for until it is stored; the others are not asked for again
    where the answer was lost. `stored` and `stored_us` have what was acknowledged, `doubted` what nobody can tell.
    """

    side: Side
    jobs: int
    jobs_a_second: int
    seed: int
    stored: dict[int, str] = field(default_factory=dict[int, str])
    stored_us: dict[int, int] = field(default_factory=dict[int, int])
    doubted: set[int] = field(default_factory=set[int])
    errors: int = 0

    async def produce(self) -> None:
        """All of them, to the end."""
        numbers = iter(range(self.jobs))
        await asyncio.gather(*(self._call(numbers, random.Random(f"{self.seed}/{n}")) for n in range(CALLERS)))

    def has_stored(self, least: int) -> bool:
        """Whether so many were acknowledged."""
        return len(self.stored) >= least

    async def _call(self, numbers: Iterator[int], chance: random.Random) -> None:
        for number in numbers:
            await self._store(Numbered(number, chance.randint(LEAST_MS, MOST_MS)))
            await asyncio.sleep(chance.uniform(0.5, 1.5) * CALLERS / self.jobs_a_second)  # the rate

    async def _store(self, one: Numbered) -> None:
        job_id = f"n-{one.number}" if one.number % 2 else None
        while True:
            try:
                stored_id = await self.side.add(one, job_id)
            except NotStored:
                self.errors += 1
            except InDoubt:
                self.errors += 1
                if job_id is None:
                    self.doubted.add(one.number)
                    return
            else:
                self.stored[one.number], self.stored_us[one.number] = stored_id, clock_us()
                return
            await asyncio.sleep(_REST_S)  # Redis is away
