"""What other BullMQ tools do to jobs, and a look at whether they have ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobqueue import App, packing
from jobqueue.clock import now_ms
from jobqueue.scripts import shipped


async def add_foreign(app: App, name: str, data: str, options: Mapping[str, Any]) -> str:
    """A job as another BullMQ producer adds it. Source: addStandardJob."""
    keys = app.queue().keys
    words = ("wait", "paused", "meta", "id", "completed", "delayed", "active", "events", "marker")
    fields = [keys.base, "", name, now_ms(), None, None, None, None, None]
    args = (packing.pack(fields), data, packing.pack(options))
    return str(await app.client.run(shipped("addStandardJob"), [keys.of(word) for word in words], args))


async def remove(app: App, job_id: str, *, children: bool = True) -> None:
    """As `job.remove()` of Node, and the Remove button of its boards. Source: removeJob."""
    keys = app.queue().keys
    args = (job_id, int(children), keys.base)
    assert await app.client.run(shipped("removeJob"), (keys.job(job_id), keys.of("repeat")), args) == 1


async def promote(app: App, job_id: str) -> None:
    """As `job.promote()` of Node, and the Promote button of its boards. Source: promote."""
    keys = app.queue().keys
    words = ("delayed", "wait", "paused", "meta", "prioritized", "active", "pc", "events", "marker")
    assert await app.client.run(shipped("promote"), [keys.of(word) for word in words], [keys.base, job_id]) == 0


async def has_ended(app: App, job_id: str) -> bool:
    return bool(await app.client.call("HEXISTS", app.queue().keys.job(job_id), "finishedOn"))
