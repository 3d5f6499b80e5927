"""Who enqueues into a full queue is told that the job waits in the database."""

from __future__ import annotations

from tests.board.outbox_support import PAGES, outbox_board
from tests.conftest import MakeSettings

NOTE = {"handler": "note", "payload": {"text": "hello"}}


async def test_the_admin_routes_say_that_a_job_had_no_room(settings: MakeSettings) -> None:
    async with outbox_board(settings(environment="local", jobs_max_queue_depth=1)) as board:
        first = await board.client.post("/api/admin/job", json=NOTE)
        second = await board.client.post("/api/admin/job", json=NOTE)

    assert (first.status_code, first.json()["data"]["outboxed"]) == (201, False)
    assert (second.status_code, second.json()["data"]["outboxed"]) == (201, True)
    assert second.json()["data"]["enqueuedAt"] is None


async def test_the_form_leads_to_where_the_job_waits(settings: MakeSettings) -> None:
    async with outbox_board(settings(environment="local", jobs_max_queue_depth=1)) as board:
        await board.client.post("/api/admin/job", json=NOTE)
        sent = await board.client.post("/bullBoard/handlers/note", data={"as": "json", "payload": "{}"})
        assert sent.status_code == 303
        page = await board.client.get(sent.headers["location"])

    assert sent.headers["location"].startswith(PAGES)
    assert "the job waits here until it has room" in page.text
    assert "note" in page.text
