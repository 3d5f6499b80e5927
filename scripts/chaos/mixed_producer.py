"""The producer of R18: `python -m scripts.chaos.mixed_producer`, in either version, as its environment says."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any, Final, Literal, TypeAlias, get_args

from jobqueue import App
from jobqueue.job import EnqueueOptions
from jobqueue.settings import Settings
from scripts.chaos.ledger import Ledger
from scripts.chaos.versions import WHO, Item, flaky, latest, plain, registry, single

MODULE: Final = "scripts.chaos.mixed_producer"
JOBS, SEED = "MIXED_JOBS", "MIXED_SEED"
CALLERS: Final = 10
Kind: TypeAlias = Literal["plain", "delayed", "prioritized", "flaky", "single", "latest", "ordered"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


async def main() -> None:
    settings, jobs = Settings.load(), int(os.environ[JOBS])
    async with App(registry, settings) as app:
        await asyncio.gather(*(_call(app, range(first, jobs, CALLERS)) for first in range(CALLERS)))


async def _call(app: App, numbers: range) -> None:
    """One of those who enqueue at the same time; each job's id is written down once it is acknowledged."""
    ledger, who = Ledger.of_environment(), os.environ[WHO]
    for number in numbers:
        chance = random.Random(f"{os.environ[SEED]}/{who}/{number}")
        kind = chance.choice(KINDS)
        item = Item(f"{kind}-{chance.randrange(20)}", chance.randint(0, 10))
        handler: Any = {"flaky": flaky, "single": single, "latest": latest}.get(kind, plain)
        job = await app.enqueue_job(handler, item, **_options(kind, item, chance))
        ledger.write("stored", job.job_id, 0, key=kind, note=who)
        await asyncio.sleep(chance.uniform(0, 0.02))  # the others add theirs between


def _options(kind: Kind, item: Item, chance: random.Random) -> EnqueueOptions:
    match kind:
        case "delayed":
            return {"delay_ms": chance.randint(1, 3_000)}
        case "prioritized":
            return {"priority": chance.randint(1, 100)}
        case "ordered":
            return {"order_key": item.key}
        case _:
            return {}


if __name__ == "__main__":
    asyncio.run(main())
