"""Cron pages under attack, read-only, too large, and with the database or Redis away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from board import create_app
from jobqueue.app import App
from jobqueue.inspector import Inspector
from jobqueue.settings import Settings
from tests.board.cron_page_support import (
    FORM,
    MARKUP,
    NOWHERE,
    PAGES,
    addresses_of,
    jobs_of,
    made,
    spoil,
    value_of,
    words_of,
)
from tests.board.cron_support import CronBoard, cron_board
from tests.board.support import REGISTRY, client_of
from tests.conftest import MakeSettings
from tests.support.redis_server import RedisServer

NEW = f"{PAGES}/new"
ODD = {
    "markup": MARKUP,
    "a link": "javascript:alert(1)",
    "right to left": "\u202egnp.exe\u2066",
    "a template": "{{ 7 * 7 }}",
    "a closed area": "</textarea><script>alert(1)</script>",
}
NO_POSTGRES = "postgresql://ann:s3cr3t@127.0.0.1:1/jobs"


@pytest.fixture
async def board(settings: MakeSettings) -> AsyncIterator[CronBoard]:
    async with cron_board(settings(environment="local")) as board:
        yield board


def assert_harmless(answer: httpx.Response) -> None:
    assert "<script>" not in answer.text
    assert "<img" not in answer.text
    assert "\u202e" not in re.sub(r"<(textarea|input|option)[^>]*>[^<]*", "", answer.text)
    for address in addresses_of(answer):
        assert re.match(r"/bullBoard(/|$)|#main$", address), address


# What a row can hold


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
async def test_nothing_that_a_row_holds_becomes_markup(board: CronBoard, text: str) -> None:
    payload = {text: [text]}
    row = await made(board, name=text, job_id=text.replace(":", "-"), description=text, handler="note", payload=payload)
    quoted = text.replace("'", "''")
    told = f"last_job_id = '{quoted}', last_status = '{quoted[:20]}', created_by = '{quoted}'"
    async with board.database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(f"UPDATE cron_job SET {told.replace('%', '%%')}")
    pages = [PAGES, f"{PAGES}/{row.id}", f"{PAGES}/{row.id}/edit"]
    answers = [await board.client.get(page) for page in pages]
    answers.append(await board.client.post(f"{PAGES}/{row.id}/delete"))
    for answer in answers:
        assert answer.status_code == 200
        assert_harmless(answer)
    assert value_of(answers[2], "name") == text


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
async def test_nothing_that_is_typed_becomes_markup(board: CronBoard, text: str) -> None:
    answer = await board.client.post(NEW, data=dict.fromkeys(FORM, text))
    assert answer.status_code == 400
    assert_harmless(answer)
    for name in ("name", "pattern", "timezone", "payload", "description", "max_attempts"):
        assert value_of(answer, name) == text
    for address in (f"{PAGES}?q={quote(text)}", f"{NEW}?handler={quote(text)}", f"{PAGES}/{quote(text, safe='')}"):
        assert_harmless(await board.client.get(address))
    notice = await board.client.get(f"{PAGES}?notice={quote(text)}&count={quote(text)}")
    assert_harmless(notice)


async def test_a_bad_row_with_markup_says_why_without_it(board: CronBoard) -> None:
    await made(board)
    await spoil(board.database, "nightly", "handler = '<script>alert(1)</script>', pattern = '<script>'")
    for page in (PAGES, f"{PAGES}/{(await jobs_of(board).list())[0].id}"):
        answer = await board.client.get(page)
        assert "is not registered here" in words_of(answer)
        assert_harmless(answer)


async def test_a_long_text_is_cut_in_lists(board: CronBoard) -> None:
    await made(board)
    await spoil(board.database, "nightly", f"name = '{'x' * 100_000}', pattern = '{'y' * 100_000}'")
    answer = await board.client.get(PAGES)
    assert answer.status_code == 200
    assert len(answer.text) < 30_000


# What is sent


async def test_a_form_that_is_too_large_is_a_413(board: CronBoard) -> None:
    row = await made(board)
    too_large = "x" * (4 * board.app.settings.jobs_max_payload_bytes + 1)
    for address in (NEW, f"{PAGES}/{row.id}/edit"):
        assert (await board.client.post(address, data={**FORM, "payload": too_large})).status_code == 413


async def test_the_largest_payload_fits_and_a_larger_one_is_told_beside_the_field(settings: MakeSettings) -> None:
    made_settings = settings(environment="local", jobs_max_payload_bytes=100_000)
    async with cron_board(made_settings) as board:
        fits, too_large = ('{"a": "' + "é" * count + '"}' for count in (49_000, 51_000))
        form = {**FORM, "handler": "note"}
        answer = await board.client.post(NEW, data={**form, "payload": too_large})
        assert answer.status_code == 400
        assert "Payload" in words_of(answer)
        assert (await board.client.post(NEW, data={**form, "payload": fits})).status_code == 303


async def test_a_body_that_is_no_utf8_or_repeats_a_field_is_answered_clearly(board: CronBoard) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for body in (b"\xff\xfe", b"name=%ff%fe&pattern=%00", b"&&&===", b"name=a&name=b", b"a=1&" * 2_000, b""):
        assert (await board.client.post(NEW, content=body, headers=headers)).status_code == 400


# Read-only and mounted


async def test_a_read_only_board_shows_no_button_and_refuses_each_change(settings: MakeSettings) -> None:
    async with cron_board(settings(environment="local")) as board:
        row = await made(board)
        async with client_of(create_app(board.app, database=board.database, read_only=True)) as client:
            for page in (PAGES, f"{PAGES}/{row.id}"):
                answer = await client.get(page)
                assert answer.status_code == 200
                assert 'method="post"' not in answer.text
                assert not [one for one in addresses_of(answer) if one.endswith(("/edit", "/new"))]
            for page in (NEW, f"{PAGES}/{row.id}/edit"):
                assert (await client.get(page)).status_code == 403
            for act in ("trigger", "enable", "disable", "delete", "edit"):
                answer = await client.post(f"{PAGES}/{row.id}/{act}", data={"confirmed": "yes"})
                assert answer.status_code == 403
            assert (await client.get(f"{PAGES}/preview?pattern=@daily")).status_code == 200


async def test_every_link_stays_below_the_mount(settings: MakeSettings) -> None:
    async with cron_board(settings(environment="local")) as board:
        row = await made(board)
        outer = Starlette(routes=[Mount("/ops", create_app(board.app, database=board.database))])
        async with client_of(outer) as client:
            for page in ("", "/new", f"/{row.id}", f"/{row.id}/edit"):
                answer = await client.get(f"/ops{PAGES}{page}")
                for address in addresses_of(answer):
                    assert re.match(r"/ops/bullBoard(/|$)|#main$", address), address
            answer = await client.post(f"/ops{PAGES}/{row.id}/disable")
            assert answer.headers["location"] == f"/ops{PAGES}/{row.id}?notice=disabled"


async def test_a_change_from_another_site_is_refused(board: CronBoard) -> None:
    row = await made(board)
    headers = {"sec-fetch-site": "cross-site"}
    for address in (NEW, *(f"{PAGES}/{row.id}/{act}" for act in ("trigger", "disable", "delete", "edit"))):
        answer = await board.client.post(address, data={**FORM, "confirmed": "yes"}, headers=headers)
        assert answer.status_code == 403
    assert await jobs_of(board).list() == (row,)


# Something is away


REQUESTS: Mapping[str, str] = {PAGES: "GET", NOWHERE: "GET", f"{NOWHERE}/edit": "GET", f"{NOWHERE}/trigger": "POST"}


async def test_a_database_that_is_away_is_a_page_and_the_other_pages_live_on(settings: MakeSettings) -> None:
    made_settings = settings(environment="local", database_url=NO_POSTGRES)
    async with cron_board(made_settings, upgraded=False) as board:
        for address, method in REQUESTS.items():
            answer = await board.client.request(method, address)
            assert answer.status_code == 503
            assert "is not available" in words_of(answer)
            assert "s3cr3t" not in answer.text
        assert (await board.client.post(NEW, data=dict(FORM))).status_code == 503
        for address in ("/bullBoard", "/bullBoard/workers", "/bullBoard/audit", NEW):
            assert (await board.client.get(address)).status_code == 200


async def test_a_database_without_its_tables_says_what_to_run(settings: MakeSettings, database_url: str) -> None:
    made_settings = settings(environment="local", database_url=database_url)
    async with cron_board(made_settings, upgraded=False) as board:
        for address, method in REQUESTS.items():
            answer = await board.client.request(method, address)
            assert answer.status_code == 503
            assert "jobqueue db upgrade" in words_of(answer)


async def test_without_a_database_of_its_own_the_board_opens_that_of_the_settings(settings: MakeSettings) -> None:
    own: Settings = settings(environment="local")
    async with cron_board(own) as board, App(REGISTRY, own) as app, client_of(create_app(app)) as client:
        await made(board)
        assert "nightly" in words_of(await client.get(PAGES))


async def test_with_redis_away_rows_are_shown_and_saved_and_followed_when_it_is_back(
    settings: MakeSettings, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with cron_board(settings(environment="local", redis_url=own_redis.url)) as board, asyncio.timeout(50):
        row = await made(board)
        own_redis.kill()
        listed = await board.client.get(PAGES)
        assert listed.status_code == 200
        assert "Redis cannot be asked" in words_of(listed)
        assert "nightly" in words_of(listed)
        saved = await board.client.post(
            f"{PAGES}/{row.id}/edit", data={**FORM, "job_id": "nightly", "max_attempts": "9"}
        )
        assert saved.status_code == 303
        assert "admin did cron change" in caplog.text
        assert (await jobs_of(board).get(row.id)).max_attempts == 9
        assert (await board.client.post(f"{PAGES}/{row.id}/trigger")).status_code == 503
        own_redis.start()
        assert (await board.client.post(f"{PAGES}/{row.id}/disable")).status_code == 303
        assert [entry.action for entry in (await Inspector(board.app).audit()).entries] == ["cron disable"]
