"""Cron pages: the list and the page of one row, and what is done from there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from jobqueue.inspector import Inspector
from tests.board.cron_page_support import (
    NOWHERE,
    PAGES,
    YEARLY,
    addresses_of,
    jobs_of,
    made,
    spoil,
    words_of,
)
from tests.board.cron_support import CronBoard, cron_board
from tests.conftest import MakeSettings


@pytest.fixture
async def board(settings: MakeSettings) -> AsyncIterator[CronBoard]:
    """Someone at the machine where the board runs."""
    async with cron_board(settings(environment="local")) as board:
        yield board


# The list


async def test_an_empty_list_says_how_to_create_one(board: CronBoard) -> None:
    answer = await board.client.get(PAGES)
    assert "No cron jobs yet" in words_of(answer)
    assert "jobqueue cron add" in words_of(answer)
    assert f"{PAGES}/new" in addresses_of(answer)


async def test_each_row_tells_its_schedule_its_state_and_when_it_runs_next_in_its_zone(
    settings: MakeSettings, database_url: str
) -> None:
    async with cron_board(settings(environment="local", database_url=database_url)) as board:
        row = await made(board, timezone="America/New_York")
        await made(board, name="off", enabled=False)
        answer = await board.client.get(PAGES)
        words = words_of(answer)
        assert f"nightly heartbeat {YEARLY} America/New_York enabled in " in words
        assert "-01-01 00:00 EST" in words
        assert f"off heartbeat {YEARLY} UTC disabled – –" in words
        assert f"{PAGES}/{row.id}" in addresses_of(answer)


async def test_the_last_status_leads_to_the_job_in_its_handlers_queue(board: CronBoard) -> None:
    await made(board, handler="note", payload={"a": 1})
    last = "last_status = 'failed', last_job_id = 'repeat:nightly:7', last_run_at = '2026-01-02 03:04:05.000000'"
    await spoil(board.database, "nightly", last)
    answer = await board.client.get(PAGES)
    assert "failed" in words_of(answer)
    assert "2026-01-02 03:04:05 UTC" in words_of(answer)
    assert "/bullBoard/queues/notes/jobs/repeat%3Anightly%3A7" in addresses_of(answer)


async def test_a_filter_looks_into_names_job_ids_and_handlers_in_any_case(
    settings: MakeSettings, database_url: str
) -> None:
    async with cron_board(settings(environment="local", database_url=database_url)) as board:
        await made(board, name="Sync of Vienna", job_id="vie")
        await made(board, name="other", handler="note", payload={})
        for text in ("sync", "VIE", "of%20v"):
            words = words_of(await board.client.get(f"{PAGES}?q={text}"))
            assert "Sync of Vienna" in words
            assert "other" not in words
        assert "other" in words_of(await board.client.get(f"{PAGES}?q=NOTE"))
        for text in ("100%25", "_", "%5C", "%00", "x" * 300):
            assert "No cron job has" in words_of(await board.client.get(f"{PAGES}?q={text}"))


async def test_pages_go_forth_and_back_and_keep_the_filter(board: CronBoard) -> None:
    for number in range(5):
        await made(board, name=f"job {number}", enabled=False)
    first = await board.client.get(f"{PAGES}?limit=2&q=job")
    assert "1–2 of 5" in words_of(first)
    assert f"{PAGES}?q=job&offset=2&limit=2" in addresses_of(first)
    last = await board.client.get(f"{PAGES}?q=job&offset=4&limit=2")
    assert "job 4" in words_of(last)
    assert f"{PAGES}?q=job&offset=2&limit=2" in addresses_of(last)


@pytest.mark.parametrize("query", ["offset=-1", "offset=9999999999999999999999", "limit=0", "limit=x", "offset=1.5"])
async def test_a_query_out_of_range_is_clamped(board: CronBoard, query: str) -> None:
    await made(board)
    assert (await board.client.get(f"{PAGES}?{query}")).status_code == 200


# Bad rows


async def test_bad_rows_say_why_and_hide_no_other(board: CronBoard) -> None:
    await made(board)
    spoiled = await made(board, name="spoiled")
    await made(board, name="orphan")
    await made(board, name="wrong")
    await made(board, name="foreign")
    await spoil(board.database, "spoiled", "payload = '{bad'")
    await spoil(board.database, "orphan", "handler = 'gone'")
    await spoil(board.database, "wrong", "pattern = '0 0 30 2 *'")
    await board.app.client.call("HDEL", board.app.queue("jobs").keys.cron_schedulers(), "foreign")
    answer = await board.client.get(PAGES)
    words = words_of(answer)
    assert "nightly heartbeat" in words
    assert f"cron job '{spoiled.id}' cannot be read" in words
    assert "handler 'gone' is not registered here" in words
    assert "pattern: never fires" in words
    assert "somebody else has made" in words
    assert f"{PAGES}/{spoiled.id}/delete" in addresses_of(answer)


async def test_a_row_without_its_scheduler_says_that_the_next_pass_makes_it(board: CronBoard) -> None:
    row = await made(board, enabled=False)
    await spoil(board.database, "nightly", "enabled = 1")
    for address in (PAGES, f"{PAGES}/{row.id}"):
        assert "has no scheduler yet" in words_of(await board.client.get(address))


async def test_a_row_that_cannot_be_read_has_a_page_and_can_be_deleted(board: CronBoard) -> None:
    row = await made(board)
    await spoil(board.database, "nightly", "payload = '{bad'")
    answer = await board.client.get(f"{PAGES}/{row.id}")
    assert answer.status_code == 200
    assert "cannot be read" in words_of(answer)
    deleted = await board.client.post(f"{PAGES}/{row.id}/delete", data={"confirmed": "yes"})
    assert deleted.headers["location"] == f"{PAGES}?notice=deleted"
    assert "No cron jobs yet" in words_of(await board.client.get(PAGES))


# One row


async def test_the_page_of_a_row_has_all_its_fields_and_the_next_five_times(board: CronBoard) -> None:
    row = await made(
        board,
        description="Ask ann.\nOr bob.",
        pattern="30 1 * * *",
        timezone="Asia/Kolkata",
        handler="syncData",
        payload={"resource_id": "r1", "pinCode": "s3cr3t"},
        max_attempts=7,
        overlap="queue",
        misfire="skip",
    )
    answer = await board.client.get(f"{PAGES}/{row.id}")
    words = words_of(answer)
    for text in ("Ask ann. Or bob.", "Asia/Kolkata", "syncData", '"resource_id": "r1"', "7", "queue", "the next waits"):
        assert text in words
    assert words.count(" 01:30 IST ") == 6  # the next run, and the five times
    assert words.count(" 20:00 ") == 5  # in UTC
    assert "s3cr3t" not in answer.text
    assert "********" in words


async def test_a_row_that_is_not_there_is_a_404(board: CronBoard) -> None:
    assert (await board.client.get(NOWHERE)).status_code == 404
    assert (await board.client.get(f"{NOWHERE}/edit")).status_code == 404
    for act in ("trigger", "enable", "disable", "delete"):
        assert (await board.client.post(f"{NOWHERE}/{act}")).status_code == 404


# Acts


async def test_trigger_runs_it_now_and_leads_to_its_job(board: CronBoard) -> None:
    row = await made(board, enabled=False)
    answer = await board.client.post(f"{PAGES}/{row.id}/trigger")
    assert answer.status_code == 303
    address, _, query = answer.headers["location"].partition("?")
    assert address.startswith(f"/bullBoard/queues/jobs/jobs/cron.{row.id}.")
    assert query == "notice=triggered"
    assert await board.app.client.call("LLEN", board.app.queue("jobs").keys.of("wait")) == 1


async def test_a_trigger_of_what_cannot_run_says_why_on_the_rows_page(board: CronBoard) -> None:
    row = await made(board)
    await spoil(board.database, "nightly", "handler = 'gone'")
    answer = await board.client.post(f"{PAGES}/{row.id}/trigger")
    assert answer.status_code == 400
    assert "It cannot run" in words_of(answer)
    assert "gone" in words_of(answer)


async def test_disable_and_enable_change_the_scheduler_and_come_back_to_where_one_was(board: CronBoard) -> None:
    row = await made(board)
    repeat = board.app.queue("jobs").keys.of("repeat")
    answer = await board.client.post(f"{PAGES}/{row.id}/disable", data={"back": "list"})
    assert answer.headers["location"] == f"{PAGES}?notice=disabled"
    assert await board.app.client.call("ZCARD", repeat) == 0
    assert "The cron job is disabled." in words_of(await board.client.get(answer.headers["location"]))
    answer = await board.client.post(f"{PAGES}/{row.id}/enable")
    assert answer.headers["location"] == f"{PAGES}/{row.id}?notice=enabled"
    assert await board.app.client.call("ZCARD", repeat) == 1


async def test_enabling_what_cannot_run_says_why_on_the_rows_page(board: CronBoard) -> None:
    row = await made(board, enabled=False)
    await spoil(board.database, "nightly", "pattern = '0 0 30 2 *'")
    answer = await board.client.post(f"{PAGES}/{row.id}/enable")
    assert answer.status_code == 400
    assert "It cannot be enabled" in words_of(answer)
    assert f'data-here="{PAGES}/{row.id}"' in answer.text


async def test_delete_asks_first(board: CronBoard) -> None:
    row = await made(board)
    asked = await board.client.post(f"{PAGES}/{row.id}/delete")
    assert asked.status_code == 200
    assert "Delete the cron job nightly?" in words_of(asked)
    assert (await jobs_of(board).get(row.id)).name == "nightly"
    done = await board.client.post(f"{PAGES}/{row.id}/delete", data={"confirmed": "yes"})
    assert done.status_code == 303
    assert await board.app.client.call("ZCARD", board.app.queue("jobs").keys.of("repeat")) == 0


async def test_each_act_is_in_the_audit_log_with_what_came_of_it(board: CronBoard) -> None:
    row = await made(board)
    await board.client.post(f"{PAGES}/{row.id}/disable")
    await board.client.post(f"{PAGES}/{row.id}/trigger")
    await spoil(board.database, "nightly", "handler = 'gone'")
    await board.client.post(f"{PAGES}/{row.id}/trigger")
    await board.client.post(f"{PAGES}/{row.id}/delete", data={"confirmed": "yes"})
    noted = (await Inspector(board.app).audit()).entries
    acts = [(entry.action, entry.target, (entry.outcome or "").partition(":")[0]) for entry in reversed(noted)]
    assert acts == [
        ("cron disable", row.id, "done"),
        ("cron trigger", row.id, "done"),
        ("cron trigger", row.id, "refused"),
        ("cron delete", row.id, "done"),
    ]
    assert {(entry.actor, entry.via, entry.details.get("name")) for entry in noted} == {("admin", "local", "nightly")}


async def test_only_forms_act(board: CronBoard) -> None:
    row = await made(board)
    for act in ("trigger", "enable", "disable", "delete", "edit"):
        for content_type in ("text/plain", "application/json", "multipart/form-data; boundary=x"):
            address, headers = f"{PAGES}/{row.id}/{act}", {"content-type": content_type}
            answer = await board.client.post(address, content=b"confirmed=yes", headers=headers)
            assert answer.status_code == 400
    assert (await jobs_of(board).get(row.id)).enabled
