"""Overflow: when a queue that was full takes new jobs again, though what was spilled must stay before them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final, Literal

from jobqueue.database import Database
from jobqueue.outbox import reading, steps
from jobqueue.outbox.steps import QueueState
from jobqueue.queue import Queue
from jobqueue.settings import Settings

_log = logging.getLogger("jobqueue.outbox")

_RESUMES_BELOW: Final = 0.8
"""The share of JOBS_MAX_QUEUE_DEPTH below which a queue that overflowed takes new jobs again."""
_CLOSING_MS: Final = 1_000
_GIVEN_UP_MS: Final = 500
"""A job that was refused, and is not in the table so long after the last that was: its producer has died in between."""

Ended = Literal["ended", "not yet"]


async def end(queue: Queue, database: Database, settings: Settings, state: QueueState) -> Ended:
    """End the overflow of a queue whose rows are moved, if nobody is on his way to the table.

    The queue was looked at before the table is: what comes between changes the queue's counts, and it stays as it is.
    While some are on their way the others are asked to wait, a second at most.
    """
    if not state.overflows:
        return "ended"
    if state.depth >= _RESUMES_BELOW * settings.jobs_max_queue_depth:
        return "not yet"
    if state.has_some_on_their_way and state.unchanged_ms < _GIVEN_UP_MS:
        await steps.close_overflow(queue, _CLOSING_MS)
        return "not yet"
    if await reading.has_rows(database, settings.jobs_prefix, queue.name, datetime.now(UTC)):
        await steps.close_overflow(queue, _CLOSING_MS)
        return "not yet"
    if not await steps.end_overflow(queue, state):
        return "not yet"
    _log.info("queue %s takes new jobs again: what was spilled to the outbox is moved", queue.name)
    return "ended"
