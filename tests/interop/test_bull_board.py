"""bull-board's own server shows our jobs, and its buttons work on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from pydantic import JsonValue, TypeAdapter

from tests.conftest import MakeSettings
from tests.interop.node_peer import NodePeer
from tests.interop.ours import NO_ROUTE, echo, fail, report, working

Object = dict[str, JsonValue]
OBJECT: TypeAdapter[Object] = TypeAdapter(Object)
OBJECTS: TypeAdapter[list[Object]] = TypeAdapter(list[Object])


@dataclass(frozen=True, slots=True)
class Board:
    """bull-board over HTTP, as its own page asks it."""

    http: httpx.AsyncClient

    async def jobs(self, state: str) -> list[Object]:
        [queue] = OBJECTS.validate_python((await self._get("/api/queues", activeQueue="jobs", status=state))["queues"])
        return OBJECTS.validate_python(queue["jobs"])

    async def job(self, job_id: str) -> Object:
        return OBJECT.validate_python((await self._get(f"/api/queues/jobs/{job_id}"))["job"])

    async def workers(self) -> list[Object]:
        return OBJECTS.validate_python((await self._get("/api/queues/jobs/workers"))["workers"])

    async def logs(self, job_id: str) -> list[str]:
        response = await self.http.get(f"/api/queues/jobs/{job_id}/logs")
        return TypeAdapter(list[str]).validate_json(response.raise_for_status().content)

    async def retry(self, job_id: str) -> None:
        (await self.http.put(f"/api/queues/jobs/{job_id}/retry")).raise_for_status()

    async def _get(self, path: str, **query: str) -> Object:
        response = await self.http.get(path, params=query)
        return OBJECT.validate_json(response.raise_for_status().content)


@pytest.fixture
async def board(node: NodePeer) -> AsyncIterator[Board]:
    """bull-board on the queue `jobs`."""
    await node.start_events()
    async with httpx.AsyncClient(base_url=await node.start_board()) as http:
        yield Board(http)


async def test_it_lists_our_completed_job_with_its_value(board: Board, node: NodePeer, settings: MakeSettings) -> None:
    async with working(settings(), echo) as app:
        result = await app.enqueue_job(echo, {"to": "Zoë"})
        await node.wait_for_event("completed", result.job_id)

    [job] = await board.jobs("completed")
    assert (job["id"], job["name"], job["returnValue"]) == (result.job_id, "echo", {"to": "Zoë"})
    assert job["data"] == {"type": "adhoc", "payload": {"to": "Zoë"}}
    assert (job["attempts"], job["isFailed"]) == (1, False)


async def test_it_lists_our_failed_job_with_its_reason_and_stack(
    board: Board, node: NodePeer, settings: MakeSettings
) -> None:
    async with working(settings(), fail) as app:
        result = await app.enqueue_job(fail, 1)
        await node.wait_for_event("failed", result.job_id)

    [job] = await board.jobs("failed")
    [stack] = TypeAdapter(list[str]).validate_python(job["stacktrace"])
    assert (job["id"], job["failedReason"], job["isFailed"]) == (result.job_id, NO_ROUTE, True)
    assert NO_ROUTE in stack


async def test_it_shows_our_jobs_log_and_progress(board: Board, node: NodePeer, settings: MakeSettings) -> None:
    async with working(settings(), report) as app:
        result = await app.enqueue_job(report, 1)
        await node.wait_for_event("completed", result.job_id)

    assert any("half" in line for line in await board.logs(result.job_id))
    assert (await board.job(result.job_id))["progress"] == {"done": 1}


async def test_it_shows_our_worker_by_name_and_once(board: Board, node: NodePeer, settings: MakeSettings) -> None:
    async with working(settings(), echo) as app:
        result = await app.enqueue_job(echo, 1)
        await node.wait_for_event("completed", result.job_id)
        workers = await board.workers()

    assert [worker["name"] for worker in workers] == [(await node.job(result.job_id)).processed_by]


async def test_its_retry_button_makes_us_run_the_job_again(
    board: Board, node: NodePeer, settings: MakeSettings
) -> None:
    # given
    async with working(settings(), fail) as app:
        result = await app.enqueue_job(fail, 1)
        await node.wait_for_event("failed", result.job_id)

        # when
        await board.retry(result.job_id)
        await node.wait_for_event("failed", result.job_id, count=2)

    # then
    assert (await node.job(result.job_id)).attempts_started == 2
