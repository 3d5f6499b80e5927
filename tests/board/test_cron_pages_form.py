"""Cron pages: where a cron job is created and edited, and its next times are previewed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import select

from jobqueue.cron.table import CronJobRow
from tests.board.cron_page_support import (
    FORM,
    NOWHERE,
    PAGES,
    jobs_of,
    made,
    spoil,
    value_of,
    words_of,
)
from tests.board.cron_support import CronBoard, cron_board
from tests.conftest import MakeSettings

NEW = f"{PAGES}/new"


@pytest.fixture
async def board(settings: MakeSettings) -> AsyncIterator[CronBoard]:
    async with cron_board(settings(environment="local")) as board:
        yield board


async def typed(board: CronBoard, cron_job_id: str, **texts: str) -> dict[str, str]:
    """The form of a row as it is shown, with these texts typed over."""
    answer = await board.client.get(f"{PAGES}/{cron_job_id}/edit")
    assert answer.status_code == 200
    areas = ("description", "payload")
    inputs = ("name", "job_id", "pattern", "timezone", "priority", "max_attempts", "backoff_ms", "seen")
    shown = {name: value_of(answer, name) for name in (*inputs, *areas)}
    chosen = {name: selected(answer, name) for name in ("handler", "overlap", "misfire")}
    ticked = {"enabled": "yes"} if re.search(r'name="enabled"[^>]* checked', answer.text) else {}
    return shown | chosen | ticked | texts


def selected(answer: httpx.Response, name: str) -> str:
    box = re.search(rf'<select [^>]*name="{name}".*?</select>', answer.text, re.DOTALL)
    assert box is not None
    chosen = re.search(r'value="([^"]*)" selected', box[0])
    return chosen[1] if chosen else ""


async def payload_of(board: CronBoard) -> object:
    async with board.database.transaction() as session:
        return await session.scalar(select(CronJobRow.payload))


# Create


async def test_a_cron_job_is_created_and_its_page_comes_next(settings: MakeSettings, database_url: str) -> None:
    async with cron_board(settings(environment="local", database_url=database_url)) as board:
        answer = await board.client.post(NEW, data={**FORM, "description": "one\r\ntwo"})
        assert answer.status_code == 303
        [row] = await jobs_of(board).list()
        assert answer.headers["location"] == f"{PAGES}/{row.id}?notice=created"
        assert (row.name, row.job_id, row.timezone, row.payload) == ("nightly", "nightly", "Europe/Vienna", None)
        assert (row.description, row.source, row.created_by) == ("one\ntwo", "admin", "admin")
        assert "The cron job was created." in words_of(await board.client.get(answer.headers["location"]))
        assert await board.app.client.call("ZCARD", board.app.queue("jobs").keys.of("repeat")) == 1


async def test_what_is_left_empty_in_a_new_one_has_its_default(board: CronBoard) -> None:
    texts = {"name": "a:b", "pattern": "@daily", "handler": "note"}
    assert (await board.client.post(NEW, data=texts)).status_code == 303
    [row] = await jobs_of(board).list()
    assert (row.job_id, row.timezone, row.payload, row.max_attempts, row.backoff_ms) == ("a-b", "UTC", {}, 3, 5_000)
    assert not row.enabled  # a box that is not ticked sends nothing


async def test_all_that_is_wrong_is_told_at_once_beside_its_field_and_what_was_typed_stays(board: CronBoard) -> None:
    wrong = {"name": "", "pattern": "0 0 30 2 *", "payload": '{"days": 3,}', "max_attempts": "0", "backoff_ms": "5 s"}
    answer = await board.client.post(NEW, data={**FORM, **wrong, "description": "kept <b>"})
    assert answer.status_code == 400
    words = words_of(answer)
    assert "Nothing was saved. 5 fields need another look." in words
    assert "Pattern never fires" in words
    assert "Payload is not JSON: trailing comma" in words
    assert answer.text.count('aria-invalid="true"') == 5
    for name in wrong:
        assert re.search(rf'name="{name}"[^>]*aria-describedby="about-{name}"', answer.text)
        assert f'<p class="fault" id="about-{name}">' in answer.text
        assert value_of(answer, name) == wrong[name]
    assert value_of(answer, "description") == "kept <b>"
    assert await jobs_of(board).list() == ()


async def test_what_is_wrong_inside_a_payload_is_told_by_its_name(board: CronBoard) -> None:
    answer = await board.client.post(NEW, data={**FORM, "handler": "syncData", "payload": '{"due": "soon"}'})
    assert answer.status_code == 400
    assert "resource_id: Field required" in words_of(answer)
    assert "due: " in words_of(answer)


async def test_a_name_that_another_has_is_a_409_beside_the_field(board: CronBoard) -> None:
    await made(board)
    answer = await board.client.post(NEW, data=FORM)
    assert answer.status_code == 409
    assert "Name another cron job has 'nightly'" in words_of(answer)


async def test_the_form_offers_the_handlers_with_their_queues_and_all_zones(board: CronBoard) -> None:
    answer = await board.client.get(f"{NEW}?handler=note")
    assert "note (queue notes)" in words_of(answer)
    assert selected(answer, "handler") == "note"
    assert '<option value="Pacific/Auckland">' in answer.text


# Edit


async def test_only_what_was_typed_over_is_changed(settings: MakeSettings, database_url: str) -> None:
    async with cron_board(settings(environment="local", database_url=database_url)) as board:
        row = await made(
            board, description="one\ntwo", handler="syncData", payload={"resource_id": "r", "pinCode": "x"}
        )
        texts = await typed(board, row.id, pattern="0 5 * * *", timezone="Asia/Tokyo")
        answer = await board.client.post(f"{PAGES}/{row.id}/edit", data=texts)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGES}/{row.id}?notice=saved")
        after = await jobs_of(board).get(row.id)
        assert (after.pattern, after.timezone) == ("0 5 * * *", "Asia/Tokyo")
        assert (after.name, after.description, after.payload) == (row.name, row.description, row.payload)


async def test_a_form_that_was_not_touched_changes_nothing(board: CronBoard) -> None:
    row = await made(board, description="  spaced  \n", enabled=False)
    answer = await board.client.post(f"{PAGES}/{row.id}/edit", data=await typed(board, row.id))
    assert answer.status_code == 303
    assert (await jobs_of(board).get(row.id)).updated_at == row.updated_at


async def test_a_secret_stays_where_its_mask_stays_and_goes_where_it_is_typed_over(board: CronBoard) -> None:
    row = await made(board, handler="syncData", payload={"resource_id": "r", "pinCode": "s3cr3t"})
    address = f"{PAGES}/{row.id}/edit"
    assert "s3cr3t" not in (await board.client.get(address)).text
    kept = await typed(board, row.id, payload='{"resource_id": "other", "pinCode": "********"}')
    assert (await board.client.post(address, data=kept)).status_code == 303
    assert await payload_of(board) == {"resource_id": "other", "pinCode": "s3cr3t"}
    replaced = await typed(board, row.id, payload='{"resource_id": "other", "pinCode": "new"}')
    assert (await board.client.post(address, data=replaced)).status_code == 303
    assert await payload_of(board) == {"resource_id": "other", "pinCode": "new"}


async def test_a_mask_that_hides_nothing_is_refused_and_so_is_a_move_that_would_show_a_secret(board: CronBoard) -> None:
    row = await made(board, handler="syncData", payload={"resource_id": "r", "pinCode": "s3cr3t"})
    answer = await board.client.post(NEW, data={**FORM, "handler": "note", "payload": '{"a": "********"}'})
    assert answer.status_code == 400
    assert "is masked" in words_of(answer)
    moved = await typed(board, row.id, handler="note")
    answer = await board.client.post(f"{PAGES}/{row.id}/edit", data=moved)
    assert answer.status_code == 400
    assert "would show what is hidden now" in words_of(answer)
    assert "s3cr3t" not in answer.text


async def test_a_row_whose_handler_is_gone_can_be_edited_in_its_other_fields(board: CronBoard) -> None:
    row = await made(board, handler="note", payload={"a": 1})
    await spoil(board.database, "nightly", "handler = 'gone'")
    texts = await typed(board, row.id, name="another")
    assert texts["handler"] == "gone"
    assert texts["payload"] == '"********"'
    assert (await board.client.post(f"{PAGES}/{row.id}/edit", data=texts)).status_code == 303
    after = await jobs_of(board).get(row.id)
    assert (after.name, after.handler, after.payload) == ("another", "gone", {"a": 1})


async def test_the_second_of_two_editors_is_told_what_the_first_has_changed(board: CronBoard) -> None:
    row = await made(board)
    address = f"{PAGES}/{row.id}/edit"
    second = await typed(board, row.id, description="mine")
    await jobs_of(board).update(row.id, max_attempts=9)
    answer = await board.client.post(address, data=second)
    assert answer.status_code == 409
    assert "Somebody has changed this cron job" in words_of(answer)
    assert "Now: 9" in words_of(answer)
    assert value_of(answer, "description") == "mine"
    assert (await jobs_of(board).get(row.id)).description is None
    again = {**second, "seen": value_of(answer, "seen"), "max_attempts": "9"}
    assert (await board.client.post(address, data=again)).status_code == 303
    after = await jobs_of(board).get(row.id)
    assert (after.description, after.max_attempts) == ("mine", 9)


async def test_a_row_that_code_defines_says_that_the_code_writes_it_again(board: CronBoard) -> None:
    row = await jobs_of(board).create(name="coded", pattern="@daily", handler="heartbeat", source="code")
    assert "A service defines this cron job in its code" in words_of(await board.client.get(f"{PAGES}/{row.id}/edit"))


# Preview


async def previewed(board: CronBoard, pattern: str, timezone: str) -> httpx.Response:
    answer = await board.client.get(f"{PAGES}/preview", params={"pattern": pattern, "timezone": timezone})
    assert answer.status_code == 200
    return answer


async def test_the_preview_is_five_times_by_the_clocks_of_the_zone_and_of_utc(board: CronBoard) -> None:
    answer = await previewed(board, "30 1 * * *", "America/New_York")
    assert len(re.findall(r">\d{4}-\d\d-\d\d 01:30</time> E[SD]T", answer.text)) == 5
    assert len(re.findall(r">\d{4}-\d\d-\d\d 0[56]:30<", answer.text)) == 5
    assert "<html" not in answer.text


async def test_the_preview_in_utc_says_it_once_and_has_seconds_only_where_the_pattern_has(board: CronBoard) -> None:
    answer = await previewed(board, "0 9 * * 1", "UTC")
    assert len(re.findall(r">\d{4}-\d\d-\d\d 09:00</time> UTC", answer.text)) == 5
    assert answer.text.count("<th ") == 2
    answer = await previewed(board, "30 0 9 * * 1", "UTC")
    assert len(re.findall(r">\d{4}-\d\d-\d\d 09:00:30</time> UTC", answer.text)) == 5


@pytest.mark.parametrize(
    ("pattern", "timezone", "why"),
    [
        ("0 0 30 2 *", "UTC", "pattern never fires"),
        ("61 * * * *", "UTC", "pattern "),
        ("@never", "UTC", "pattern "),
        ("* * * * *", "Mars/Olympus", "timezone no zone is named 'Mars/Olympus'"),
        ("* " * 5_000, "UTC", "pattern must be a text of 1 to 500 characters"),
        ("* * * * *", "x" * 10_000, "timezone must be a text of 1 to 200 characters"),
        ("\x00", "\x00", "pattern must be a text"),
        ("<script>", "UTC", "pattern '<script>' has 1 fields"),
        ("* * * * *", "<script>", "timezone no zone is named '<script>'"),
        ("", "UTC", "Type a pattern to see when it fires."),
    ],
)
async def test_a_preview_of_what_is_wrong_says_why(board: CronBoard, pattern: str, timezone: str, why: str) -> None:
    answer = await previewed(board, pattern, timezone)
    assert why in words_of(answer)
    assert "<script" not in answer.text


async def test_the_preview_button_works_without_a_script_saves_nothing_and_keeps_what_was_typed(
    board: CronBoard,
) -> None:
    row = await made(board)
    texts = {**FORM, "name": "", "payload": "{half", "preview": "yes"}
    for address in (NEW, f"{PAGES}/{row.id}/edit"):
        answer = await board.client.post(address, data=texts)
        assert answer.status_code == 200
        assert len(re.findall(r">\d{4}-\d\d-\d\d 01:30</time> CES?T", answer.text)) == 5
        assert value_of(answer, "payload") == "{half"
        assert f"{address}#when" in re.findall(r'formaction="([^"]*)"', answer.text)
    assert await jobs_of(board).list() == (row,)


async def test_a_form_of_a_row_that_is_not_there_is_a_404(board: CronBoard) -> None:
    assert (await board.client.post(f"{NOWHERE}/edit", data=dict(FORM))).status_code == 404
