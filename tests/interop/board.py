"""bull-board's buttons, pressed over HTTP as its own page presses them."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from pydantic import BaseModel, TypeAdapter

DONE = (200, 204)


class _Job(BaseModel):
    id: str


class _Queue(BaseModel):
    jobs: list[_Job]


class _Page(BaseModel):
    queues: list[_Queue]


@dataclass(frozen=True, slots=True)
class Buttons:
    """The buttons on the page of the queue `jobs`; each returns the HTTP status of what it came to."""

    http: httpx.AsyncClient

    async def retry(self, job_id: str) -> int:
        return await self._press(f"{job_id}/retry")

    async def remove(self, job_id: str) -> int:
        return await self._press(f"{job_id}/clean")

    async def promote(self, job_id: str) -> int:
        return await self._press(f"{job_id}/promote")

    async def retry_all(self, state: str = "failed") -> int:
        return await self._press(f"retry/{state}")

    async def promote_all(self) -> int:
        return await self._press("promote")

    async def empty(self) -> int:
        """Its button Empty, which is BullMQ's drain."""
        return await self._press("empty")

    async def listed(self, state: str) -> list[str]:
        """The ids that its page of a state shows."""
        response = await self.http.get("/api/queues", params={"activeQueue": "jobs", "status": state})
        page = TypeAdapter(_Page).validate_json(response.raise_for_status().content)
        return [job.id for queue in page.queues for job in queue.jobs]

    async def _press(self, path: str) -> int:
        return (await self.http.put(f"/api/queues/jobs/{path}")).status_code
