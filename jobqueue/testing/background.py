"""Background: what a worker does beside running jobs, done when a test needs it, and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from jobqueue.app import App
from jobqueue.cron.seeding import seed
from jobqueue.cron.sync import Sync
from jobqueue.database import Database
from jobqueue.outbox import Relay
from jobqueue.outbox.reading import has_rows, queues_with_rows
from jobqueue.testing.errors import KitError

_MOVED_S: Final = 5.0
_LOOK_S: Final = 0.01


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again, every few milliseconds."""
    while True:
        if await is_so():
            return
        await asyncio.sleep(_LOOK_S)


async def follow_cron(app: App, database: Database) -> None:
    """Seed the cron jobs that handlers bring along, and make the schedulers equal to the table.

    Raises: DatabaseUnavailable; RedisUnavailable and its kin.
    """
    await seed(database, app.registry, app.enqueuer)
    await Sync(app, database).run()


async def has_no_rows(app: App, database: Database) -> bool:
    """True where no row of the outbox can be moved; those that were refused, and are tried later, do not count."""
    prefix, now = app.settings.jobs_prefix, datetime.now(UTC)  # not the test's time: refusals are timed by the real one
    queues = await queues_with_rows(database, prefix)
    return not any([await has_rows(database, prefix, queue, now) for queue in queues])


async def move_rows(app: App, database: Database) -> None:
    """Move what was written to the outbox, and is committed, to Redis. Raises: KitError where that takes too long."""
    if await has_no_rows(app, database):
        return
    relay = Relay(database, app.settings, app.queue, app.queue_names(), "test")
    await relay.start()
    try:
        async with asyncio.timeout(_MOVED_S):
            await until(lambda: has_no_rows(app, database))
    except TimeoutError:
        raise KitError(f"rows of the outbox were not moved within {_MOVED_S:g} s; the log says why") from None
    finally:
        await relay.stop()
