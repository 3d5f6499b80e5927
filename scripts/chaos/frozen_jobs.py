"""The jobs of R8 by what they hold: how each is enqueued, what Redis knows of it, and how it comes to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from jobqueue import Handler, flow
from jobqueue.cron import CronJobs
from jobqueue.job import EnqueueOptions
from jobqueue.keys import QueueKeys
from scripts.chaos.ground import Ground
from scripts.chaos.hold import (
    after,
    gate,
    hold_alone,
    hold_latest,
    hold_limited,
    hold_manual,
    hold_parent,
    hold_plain,
)

Kind = Literal[
    "plain", "own", "other", "patient", "ordered", "limited", "superseding", "acknowledged", "parent", "child", "slot"
]
"""What the frozen run's job is. Of a singleton: who comes after it is the same job again ("own"), or another one under
its lock ("other"), also while the stale worker lives on past a heartbeat of that lock ("patient")."""

KINDS: Final[tuple[Kind, ...]] = (
    *("parent", "own", "ordered", "slot", "plain", "acknowledged", "other", "limited", "child", "superseding"),
)
ALONE: Final = ("own", "other", "patient")
_FOLLOWED: Final = ("ordered", "limited")
_FAR: Final = "0 0 1 1 *"
_HANDLERS: Final[dict[Kind, Handler[str]]] = {
    "own": hold_alone,
    "other": hold_alone,
    "patient": hold_alone,
    "limited": hold_limited,
    "superseding": hold_latest,
    "acknowledged": hold_manual,
    "parent": hold_parent,
}


@dataclass(slots=True)
class Subject:
    """One job, or several under one key."""

    site: Ground
    rows: CronJobs
    kind: Kind
    key: str
    _others: list[str] = field(default_factory=list[str])
    """Jobs that wait for it."""
    _row_id: str = ""
    _scheduler_id: str = ""

    async def enqueue(self) -> str:
        """The job that is to be frozen, and what waits for it; returns its id."""
        site = self.site
        if self.kind == "slot":
            return await self._fire()
        if self.kind == "child":
            parent = await site.app.enqueue_flow(flow(after, self.key, children=[flow(hold_plain, self.key)]))
            self._others.append(parent.job_id)
            return parent.children[0].job_id
        job_id = await self.enqueue_one()
        if self.kind in _FOLLOWED:
            self._others.append(await self.enqueue_one())
        return job_id

    async def enqueue_one(self) -> str:
        """One more job of its kind, under the same key."""
        handler = _HANDLERS.get(self.kind, hold_plain)
        asked: EnqueueOptions = {"order_key": self.key} if self.kind == "ordered" else {}
        return (await self.site.app.enqueue_job(handler, self.key, **asked)).job_id

    async def let_end(self, job_id: str) -> None:
        """Its last run is done, or may be: bring the job to its end, and who waits for it."""
        for other in self._others:
            for claim in (1, 2, 3):
                gate(self.site.folder, other, claim).touch()
        if self.kind == "acknowledged":
            await self.site.until(lambda: self._is_active_and_done(job_id), 30, "the job waits for its acknowledgement")
            await self.site.app.mark_done(job_id, await self._reported(job_id))

    async def clear(self) -> None:
        """Nothing is to be left of its own."""
        if self._row_id:
            await self.rows.delete(self._row_id)
            # The slot that was brought forward is next year's: until then Redis would remember that it has fired.
            await self.site.ask("DEL", self.site.keys.cron_fired(self._scheduler_id))

    def keys_of(self, job_id: str) -> tuple[str, ...]:
        """Every key by which Redis knows what the job holds."""
        keys, key = self.site.keys, self.key
        of_job = (keys.job(job_id), keys.job_lock(job_id), keys.job_logs(job_id), f"{keys.job(job_id)}:dependencies")
        return *of_job, *_of_kind(keys, self.kind, job_id, key), *map(keys.job, self._others)

    async def snapshot(self, job_id: str) -> dict[str, object]:
        """What these keys say, and that the job is active."""
        found: dict[str, object] = {key: await _contents(self.site, key) for key in self.keys_of(job_id)}
        found["active"] = await self.site.ask("LPOS", self.site.keys.of("active"), job_id) is not None
        return found

    async def _fire(self) -> str:
        """A cron job whose next slot is brought forward."""
        row = await self.rows.create(name=self.key, pattern=_FAR, handler=hold_plain.name, payload=self.key)
        self._row_id, self._scheduler_id = row.id, row.job_id
        slot = await self.site.ask("ZSCORE", self.site.keys.of("repeat"), row.job_id)
        job_id = f"repeat:{row.job_id}:{float(slot):.0f}"
        await self.site.app.control.promote(job_id)
        return job_id

    async def _is_active_and_done(self, job_id: str) -> bool:
        return await self._reported(job_id) is not None

    async def _reported(self, job_id: str) -> int | None:
        """The process that a run reports at its end."""
        progress = await self.site.ask("HGET", self.site.keys.job(job_id), "progress")
        return int(progress) if str(progress).isdecimal() else None


def _of_kind(keys: QueueKeys, kind: Kind, job_id: str, key: str) -> Sequence[str]:
    match kind:
        case "own" | "other" | "patient":
            return [keys.singleton_lock(f"{hold_alone.name}:{key}")]
        case "ordered":
            return [keys.order(key)]
        case "limited":
            return [keys.limit(hold_limited.name, key)]
        case "superseding":
            return [keys.lane(hold_latest.name, key), keys.superseded(job_id)]
        case "acknowledged":
            return [keys.acknowledged(job_id)]
        case "parent":
            return [keys.job(f"{job_id}-child")]
        case "slot":
            return [keys.of(job_id.rpartition(":")[0])]
        case "plain" | "child":
            return []


async def _contents(site: Ground, key: str) -> Any:
    """What a key of any type holds; not how long it lives, which is renewed."""
    match await site.ask("TYPE", key):
        case "string":
            return await site.ask("GET", key)
        case "hash":
            return await site.ask("HGETALL", key)
        case "list":
            return await site.ask("LRANGE", key, 0, -1)
        case "set":
            return sorted(await site.ask("SMEMBERS", key))
        case "zset":
            return await site.ask("ZRANGE", key, 0, -1, "WITHSCORES")
        case _:
            return None
