"""Progress: how far long work has come, on standard error; where that is no terminal, nothing is said."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jobqueue.cli.console import one_line
from jobqueue.errors import RedisError
from jobqueue.inspector import Inspector
from jobqueue.job import State

LOOK_EVERY_S: Final = 0.3
"""The counts of a queue cost Redis next to nothing."""


@contextmanager
def steps(total: int) -> Generator[Callable[[str], None]]:
    """A bar of `total` steps; what is given is told what the next step is."""
    with _bar() as progress:
        task = progress.add_task("", total=total)

        def begin(what: str) -> None:
            is_first = progress.tasks[0].description == ""
            progress.update(task, description=one_line(what), advance=0 if is_first else 1)

        yield begin


@asynccontextmanager
async def fewer_jobs(inspector: Inspector, queue: str, states: Sequence[State], what: str) -> AsyncGenerator[None]:
    """A bar of the jobs that leave these states of a queue while the block lasts.

    They are counted from outside: what workers and producers do meanwhile is in it, too.
    """
    if not sys.stderr.isatty():
        yield
        return
    with _bar() as progress:
        watching = asyncio.create_task(_count_down(inspector, queue, states, progress, what))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def _count_down(inspector: Inspector, queue: str, states: Sequence[State], progress: Progress, what: str) -> None:
    task, total = progress.add_task(one_line(what), total=None), 0
    try:
        while True:
            counts = (await inspector.queue(queue)).counts
            left = sum(counts.get(state, 0) for state in states)
            total = max(total, left)
            progress.update(task, total=total, completed=total - left)
            await asyncio.sleep(LOOK_EVERY_S)  # nobody tells of each job
    except RedisError:
        return  # the work itself meets the same, and says it


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
