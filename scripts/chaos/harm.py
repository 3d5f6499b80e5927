"""Harm: what is done to the worker processes while they work, at moments drawn by chance."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, Final, NamedTuple

from scripts.chaos.crew import Crew
from scripts.chaos.ledger import Run

CANCEL_AGAIN_S: Final = 5.0


class Between(NamedTuple):
    """A time drawn anew each time. Units: seconds."""

    least_s: float
    most_s: float

    def drawn(self, chance: random.Random) -> float:
        return chance.uniform(self.least_s, self.most_s)


async def kills(crew: Crew, every: Between, chance: random.Random, *, of_at_least: int = 1) -> None:
    """Kill one process after another, for ever. With fewer that serve it is left out: a busy machine starts them so
    slowly that none would be left to do any work."""
    while True:
        await asyncio.sleep(every.drawn(chance))  # the moment is the subject
        if len(crew.pids) >= of_at_least:
            crew.kill(chance.choice(crew.pids))


async def freezes(crew: Crew, every: Between, held: Between, chance: random.Random) -> None:
    """Freeze one process after another for a while, for ever."""
    while True:
        await asyncio.sleep(every.drawn(chance))  # the moment is the subject
        if crew.pids:
            pid = chance.choice(crew.pids)
            crew.freeze(pid)
            try:
                await asyncio.sleep(held.drawn(chance))  # so is the length
            finally:
                crew.thaw(pid)


@asynccontextmanager
async def meanwhile(*harms: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Do harm until the block ends. Raises: what one of them raised."""
    tasks = [asyncio.ensure_future(harm) for harm in harms]
    try:
        yield
    finally:
        left: Collection[asyncio.Future[None]] = tasks
        while left:  # redis-py now and then swallows a cancellation that comes while it reads an answer
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    faults = [one for one in ended if isinstance(one, Exception)]
    if faults:
        raise ExceptionGroup("the harm could not be done", faults)


def recoveries(runs: Sequence[Run]) -> list[float]:
    """Seconds from the death of a run's process to the job's next run, for each that ran again.

    Where the next claim's process died too, before that run had begun, it is two recoveries and counts as none.
    """
    by_job: dict[str, list[Run]] = {}
    for run in runs:
        by_job.setdefault(run.job_id, []).append(run)
    pairs = (pair for several in by_job.values() for pair in pairwise(several))
    return [
        (after.started_us - before.ended_us) / 1e6
        for before, after in pairs
        if before.how == "killed" and after.claim == before.claim + 1
    ]
