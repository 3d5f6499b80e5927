"""Access to the cron routes: each of them is behind the same gate as the other admin routes."""

from __future__ import annotations

from typing import Final

import httpx
import pytest

from tests.board.cron_support import CRON, NIGHTLY, cron_board, data_of
from tests.board.test_access import CREDENTIALS, TOKEN, HeaderMap, basic, bearer
from tests.conftest import MakeSettings

HOST: Final = "http://jobs.example"
ONE: Final = f"{CRON}/0198c5a0-0000-7000-8000-000000000000"
READS: Final = (("GET", CRON), ("GET", ONE))
CHANGES: Final = (("POST", CRON), ("PATCH", ONE), ("DELETE", ONE), ("POST", f"{ONE}/trigger"))
OWN: Final = {"sec-fetch-site": "same-origin"}


async def statuses(
    client: httpx.AsyncClient, routes: tuple[tuple[str, str], ...], headers: HeaderMap | None = None
) -> set[int]:
    return {(await client.request(method, path, headers=headers)).status_code for method, path in routes}


async def test_local_is_open_for_this_machine_and_closed_for_other_host_names(settings: MakeSettings) -> None:
    async with cron_board(settings(environment="local")) as board:
        assert await statuses(board.client, READS) == {200, 404}
        assert await statuses(board.client, CHANGES) == {400, 404}
        assert await statuses(board.client, (*READS, *CHANGES), {"host": "evil.example"}) == {403}


async def test_without_credentials_there_is_nothing(settings: MakeSettings) -> None:
    async with cron_board(settings(), HOST) as board:
        assert await statuses(board.client, (*READS, *CHANGES)) == {404}
        answer = await board.client.get(CRON)
        assert answer.json()["message"] == "there is nothing at this address"


@pytest.mark.parametrize("headers", [{}, basic(password="wrong"), basic(user="bob"), bearer("wrong"), bearer("")])
async def test_missing_and_wrong_credentials_are_a_401(settings: MakeSettings, headers: HeaderMap) -> None:
    async with cron_board(settings(**CREDENTIALS, admin_api_token=TOKEN), HOST) as board:
        assert await statuses(board.client, (*READS, *CHANGES), headers) == {401}


async def test_the_right_credentials_open_the_routes(settings: MakeSettings) -> None:
    async with cron_board(settings(**CREDENTIALS, admin_api_token=TOKEN), HOST) as board:
        assert await statuses(board.client, READS, basic()) == {200, 404}
        assert await statuses(board.client, READS, bearer()) == {200, 404}
        assert await statuses(board.client, CHANGES, basic() | OWN) == {400, 404}
        assert await statuses(board.client, CHANGES, bearer()) == {400, 404}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "origin": HOST},
    ],
)
async def test_a_change_from_elsewhere_is_a_403(settings: MakeSettings, headers: dict[str, str]) -> None:
    async with cron_board(settings(**CREDENTIALS), HOST) as board:
        assert await statuses(board.client, CHANGES, basic() | headers) == {403}
        assert await statuses(board.client, READS, basic() | headers) == {200, 404}


async def test_a_local_change_from_a_foreign_page_is_a_403(settings: MakeSettings) -> None:
    async with cron_board(settings(environment="local")) as board:
        for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}):
            assert await statuses(board.client, CHANGES, headers) == {403}
        assert (await board.client.get(CRON)).json()["total"] == 0


async def test_a_cron_job_and_its_trigger_name_whoever_made_them(settings: MakeSettings) -> None:
    async with cron_board(settings(**CREDENTIALS, admin_api_token=TOKEN), HOST) as board:
        by_name = await board.client.post(CRON, json=NIGHTLY, headers=basic() | OWN)
        by_token = await board.client.post(CRON, json=NIGHTLY | {"name": "other"}, headers=bearer())
        assert [data_of(answer)["createdBy"] for answer in (by_name, by_token)] == ["ann", "admin"]
        path = f"{CRON}/{data_of(by_name)['id']}/trigger"
        triggered = await board.client.post(path, headers=basic() | OWN)
        job = await board.app.queue().job(data_of(triggered)["jobId"])
        assert job.envelope.created_by == "ann"
