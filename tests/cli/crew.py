"""The service whose workers are several processes: its handlers leave files in the folder in which they run.

The tests copy this file into their folder; from here they take the handlers' names.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from jobqueue import JobContext, Registry, Resources, Settings, SettingsError, fixed, make_job

LONG_LINE = "x" * 20_000


@make_job(backoff=fixed(0), grace_ms=100)
async def meet(ctx: JobContext, people: int) -> int:
    """Ends once so many processes are in it at the same time; how many there were."""
    Path(f"met-{os.getpid()}").touch()
    for _ in range(4_000):
        if len(list(Path().glob("met-*"))) >= people:
            return people
        await asyncio.sleep(0.01)  # files tell nobody
    raise TimeoutError("the others have not come")


@make_job(backoff=fixed(0), grace_ms=100)
async def slow(ctx: JobContext, seconds: float) -> str:
    Path(f"slow-{os.getpid()}").touch()
    await asyncio.sleep(seconds)
    return "done"


@make_job(backoff=fixed(0), grace_ms=100)
async def deadly_once(ctx: JobContext) -> str:
    """Takes its process down, in the way that no process can prevent, unless it has done so before."""
    if not Path("has-killed").exists():
        Path("has-killed").touch()
        os.kill(os.getpid(), 9)
    return "survived"


@make_job
async def talk(ctx: JobContext) -> None:
    for _ in range(50):
        logging.getLogger("crew").info(LONG_LINE)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Resources]:
    if Path("not-configured").exists():
        raise SettingsError("CREW_KEY", "is not set")
    if Path("broken").exists():
        os._exit(3)
    yield Resources()


registry = Registry([meet, slow, deadly_once, talk], lifespan=opened)
