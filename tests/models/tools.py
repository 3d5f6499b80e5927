"""Tools: what somebody else's BullMQ does to our jobs, with the scripts that it would run."""

from __future__ import annotations

from jobqueue import App, packing
from jobqueue.clock import now_ms
from jobqueue.scripts import shipped
from jobqueue.transitions import Claimant


class Tools:
    """Node's Job and Queue, bull-board, and a careless hand. Each answers whether it did anything."""

    def __init__(self, app: App) -> None:
        self._client = app.client
        self._keys = app.queue().keys

    async def remove(self, job_id: str) -> bool:
        """`job.remove()`; refused while the job is locked. Source: removeJob."""
        keys = (self._keys.job(job_id), self._keys.of("repeat"))
        return bool(await self._client.run(shipped("removeJob"), keys, (job_id, 1, self._keys.base)) == 1)

    async def retry(self, job_id: str, state: str) -> bool:
        """`job.retry(state)`, of a failed job or a completed one. Source: reprocessJob."""
        words = ("events", state, "wait", "meta", "active", "marker", "prioritized", "pc")
        keys = (self._keys.job(job_id), *map(self._keys.of, words))
        field = "returnvalue" if state == "completed" else "failedReason"
        answer = await self._client.run(shipped("reprocessJob"), keys, (job_id, "LPUSH", field, state, "0", "0"))
        return bool(answer == 1)

    async def promote(self, job_id: str) -> bool:
        """`job.promote()`. Source: promote."""
        words = ("delayed", "wait", "paused", "meta", "prioritized", "active", "pc", "events", "marker")
        answer = await self._client.run(shipped("promote"), [*map(self._keys.of, words)], (self._keys.base, job_id))
        return bool(answer == 0)

    async def change_priority(self, job_id: str, priority: int) -> bool:
        """`job.changePriority()`. Source: changePriority."""
        words = ("wait", "paused", "meta", "prioritized", "active", "pc", "marker")
        args = (priority, self._keys.base, job_id, 0)
        return bool(await self._client.run(shipped("changePriority"), [*map(self._keys.of, words)], args) == 0)

    async def pause(self, *, resume: bool = False) -> None:
        """`queue.pause()` and `queue.resume()`. Source: pause."""
        lists = ("paused", "wait") if resume else ("wait", "paused")
        words = (*lists, "meta", "prioritized", "events", "delayed", "marker")
        await self._client.run(shipped("pause"), [*map(self._keys.of, words)], ("resumed" if resume else "paused", "1"))

    async def lose(self, job_id: str) -> bool:
        """The job's hash is deleted by hand; its id stays wherever it is."""
        return bool(await self._client.call("DEL", self._keys.job(job_id)))

    async def finish(self, job_id: str, claimant: Claimant) -> bool:
        """A Node worker completes the active job, which knows nothing of our ties. Source: moveToFinished."""
        before = ("wait", "active", "prioritized", "events", "stalled", "limiter", "delayed", "paused", "meta", "pc")
        words = (*before, "completed")
        keys = (
            *map(self._keys.of, words),
            self._keys.job(job_id),
            self._keys.metrics("completed"),
            self._keys.of("marker"),
        )
        options = {
            "token": claimant.token,
            "lockDuration": claimant.lock_ms,
            "name": claimant.worker_name,
            "keepJobs": {"count": -1},
            "attempts": 1,
            "maxMetricsSize": "",
        }
        options |= {"fpof": False, "cpof": False, "idof": False, "rdof": False}
        args = (job_id, now_ms(), "returnvalue", "null", "completed", "0", self._keys.base, packing.pack(options), "")
        answer = await self._client.run(shipped("moveToFinished"), keys, args)
        return not (isinstance(answer, int) and answer < 0)
