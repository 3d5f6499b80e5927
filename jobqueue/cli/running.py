"""Running: a worker, alone or beside a server, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from jobqueue.cli.stopping import Stopper
from jobqueue.worker import Worker
from jobqueue.worker.garbage import collect_less

if TYPE_CHECKING:
    from jobqueue.cli.http import HttpServer  # a worker alone needs no web framework

_log = logging.getLogger("jobqueue.worker")


async def run_worker(
    worker: Worker,
    stopper: Stopper,
    server: HttpServer | None = None,
    when_started: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Start, wait until the stopper asks, and stop; where it urges meanwhile, stop at once.

    Raises: what starting the worker or `when_started` raises; everything is stopped then too.
    """
    starting = asyncio.create_task(_start(worker, when_started))
    try:
        serving = {server.start()} if server is not None else set[asyncio.Task[None]]()
        await _until(stopper, {starting, *serving})
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        worker.request_stop()  # the first: so the one of `_hurry` is the second, however soon it comes
        hurrying = asyncio.create_task(_hurry(worker, stopper, server))
        # The server first stops accepting; both then take the time that they need.
        await asyncio.gather(*([server.stop()] if server is not None else []), worker.stop())
        hurrying.cancel()
        await asyncio.gather(hurrying, return_exceptions=True)
        _tell_of(worker.stragglers.running)


async def _start(worker: Worker, when_started: Callable[[], Awaitable[None]] | None) -> None:
    await worker.start()
    collect_less()
    if when_started is not None:
        await when_started()


async def _until(stopper: Stopper, watched: set[asyncio.Task[None]]) -> None:
    """Wait for the stopper. A start may wait for Redis for ever, but not past a signal; what fails ends the wait."""
    asked = asyncio.create_task(stopper.asked())
    try:
        while not asked.done():
            done, _ = await asyncio.wait({asked, *watched}, return_when=asyncio.FIRST_COMPLETED)
            watched -= done
            await asyncio.gather(*done)
    finally:
        asked.cancel()
    _log.info("stopping; a second signal ends active jobs at once")


def _tell_of(stragglers: Mapping[str, int]) -> None:
    if stragglers:
        listed = ", ".join(f"{handler} ({count})" for handler, count in sorted(stragglers.items()))
        _log.error("runs that ignored their cancellation are left behind: %s", listed)


async def _hurry(worker: Worker, stopper: Stopper, server: HttpServer | None) -> None:
    await stopper.urged()
    if server is not None:
        server.stop_at_once()
    worker.request_stop()
