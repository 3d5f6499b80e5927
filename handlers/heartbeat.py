"""heartbeat: a probe that the whole path works, from enqueue over Redis to a worker and back.

The pattern it shows: the smallest handler there is, without a payload.
"""

from __future__ import annotations

from typing import TypedDict

from jobqueue import JobContext, __version__, make_job
from jobqueue.clock import now_ms


class Heartbeat(TypedDict):
    """Who answered, with which version, and when. Units: `time` is epoch milliseconds."""

    worker: str
    version: str
    time: int


@make_job
async def heartbeat(ctx: JobContext) -> Heartbeat:
    """Answer at once."""
    return Heartbeat(worker=ctx.worker_name, version=__version__, time=now_ms())
