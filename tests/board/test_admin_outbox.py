"""The admin routes of the outbox: what programs see of the jobs on their way, and do to those that were set aside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from jobqueue.inspector import Inspector
from tests.board.cron_support import CronBoard, data_of
from tests.board.outbox_support import ROUTES, outbox_board
from tests.conftest import MakeSettings
from tests.outbox.shelving import SECOND_S, enqueue_rows, row_ids, set_aside

ROWS = f"{ROUTES}/row"


@pytest.fixture
async def board(settings: MakeSettings, database_url: str) -> AsyncIterator[CronBoard]:
    async with outbox_board(settings(environment="local", database_url=database_url)) as board:
        yield board


async def rows_of(board: CronBoard, query: str = "") -> dict[str, Any]:
    answer = await board.client.get(f"{ROWS}{query}")
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_the_queues_are_listed_with_their_counts(board: CronBoard) -> None:
    ids = await enqueue_rows(board.app, board.database, [{}, {}, {}], "notes")
    await set_aside(board.database, ids[:1])

    shown = data_of(await board.client.get(ROUTES))

    (queue,) = shown["queues"]
    assert isinstance(queue.pop("oldestAt"), int)
    counts = {"queue": "notes", "waiting": 2, "setAside": 1, "countedTo": 10_000, "spilledAt": None}
    assert (queue, shown["relay"]) == (counts, False)


async def test_rows_that_are_set_aside_are_listed_where_no_state_is_named(board: CronBoard) -> None:
    first, second, third = await enqueue_rows(board.app, board.database, [{"token": "s3cr3t"}, {}, {}])
    await set_aside(board.database, [first, second], "ERR no", each_later=1)

    latest, earlier = (await rows_of(board))["data"]
    waiting = (await rows_of(board, "?state=waiting"))["data"]

    assert [one["id"] for one in (latest, earlier, *waiting)] == [second, first, third]
    assert (earlier["state"], earlier["lastError"], earlier["attempts"]) == ("setAside", "ERR no", 5)
    assert (earlier["handler"], earlier["origin"]) == ("note", "transaction")
    assert earlier["setAsideAt"] == SECOND_S * 1_000
    assert earlier["payload"] == {"token": "********"}


async def test_a_page_leads_to_the_next(board: CronBoard) -> None:
    ids = await enqueue_rows(board.app, board.database, [{}, {}, {}])
    first = await rows_of(board, "?state=waiting&limit=2")
    second = await rows_of(board, f"?state=waiting&limit=2&after={first['next']}")
    assert [one["id"] for page in (first, second) for one in page["data"]] == ids
    assert second["next"] is None


@pytest.mark.parametrize("query", ["?state=done", "?after=yesterday"])
async def test_words_that_mean_nothing_are_refused(board: CronBoard, query: str) -> None:
    assert (await board.client.get(f"{ROWS}{query}")).status_code == 400


async def test_one_row_is_shown_tried_again_and_removed(board: CronBoard) -> None:
    tried, removed = await enqueue_rows(board.app, board.database, [{}, {}])
    await set_aside(board.database, [tried, removed])

    assert data_of(await board.client.get(f"{ROWS}/{tried}"))["state"] == "setAside"
    again = data_of(await board.client.post(f"{ROWS}/{tried}/retry"))
    gone = await board.client.delete(f"{ROWS}/{removed}")

    assert (again["state"], again["attempts"], again["setAsideAt"]) == ("waiting", 0, None)
    assert data_of(await board.client.get(f"{ROWS}/{tried}")) == again
    assert gone.status_code == 204
    assert await row_ids(board.database) == [tried]
    entries = (await Inspector(board.app).audit()).entries
    assert [entry.action for entry in entries] == ["outbox remove", "outbox retry"]


async def test_a_row_that_waits_is_a_conflict_and_one_that_is_not_there_not_found(board: CronBoard) -> None:
    (row_id,) = await enqueue_rows(board.app, board.database, [{}])
    waits, missing = await board.client.delete(f"{ROWS}/{row_id}"), await board.client.delete(f"{ROWS}/4711")
    assert (waits.status_code, waits.json()["error"]) == (409, "row_waits")
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
    (entry,) = (await Inspector(board.app).audit()).entries
    assert (entry.outcome or "").startswith("refused: ")


async def test_all_of_a_queue_are_treated_at_once(board: CronBoard) -> None:
    ids = await enqueue_rows(board.app, board.database, [{} for _ in range(4)])
    await set_aside(board.database, ids[:3])
    for act, done in (("retry", 3), ("retry", 0), ("remove", 0)):
        answer = await board.client.post(f"{ROUTES}/{act}", json={"queue": "jobs"})
        assert data_of(answer) == {"done": done, "complete": True}
    await set_aside(board.database, ids[:3])
    assert data_of(await board.client.post(f"{ROUTES}/remove", json={"queue": "jobs"})) == {"done": 3, "complete": True}
    assert await row_ids(board.database) == ids[3:]


async def test_an_act_on_all_rows_needs_a_queue(board: CronBoard) -> None:
    assert (await board.client.post(f"{ROUTES}/remove", json={})).status_code == 400
