"""Handlers: the list, one handler, and the form that enqueues a job for it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from board import create_app
from jobqueue.app import App
from jobqueue.inspector import Inspector
from jobqueue.job import Job
from tests.board.cron_support import cron_board
from tests.board.form_support import FORMS, GOOD, SENT, fault_at, fields_of
from tests.board.support import client_of
from tests.conftest import MakeSettings

BOARD = "/bullBoard"
PARCEL = f"{BOARD}/handlers/sendParcel"


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(FORMS, settings(environment="local")) as app:
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(app)) as client:
        yield client


async def job_at(app: App, address: str) -> Job:
    """The job that an answer led to."""
    found = re.fullmatch(rf"{BOARD}/queues/([^/]*)/jobs/([^/?]*)(\?.*)?", address)
    assert found, address
    return await app.queue(found[1]).job(found[2])


# Looking


async def test_the_handlers_are_listed_by_name_with_their_policy_in_words(client: httpx.AsyncClient) -> None:
    page = (await client.get(f"{BOARD}/handlers")).text
    names = re.findall(rf'href="{BOARD}/handlers/([^"]*)">', page)
    assert names == ["grow", "many", "odd", "ping", "sendParcel"]
    for text in ("Sends a parcel.", "5 tries, 5.0 s apart, doubling, no duplicates", 'href="/bullBoard/queues/jobs"'):
        assert text in page


async def test_a_handler_shows_its_docs_policy_schema_and_form(client: httpx.AsyncClient) -> None:
    page = (await client.get(PARCEL)).text
    for text in (
        "By the first van.",
        "<dt>Attempts</dt><dd>5",
        "<dt>Duplicates</dt><dd>refused",
        "&#34;minLength&#34;: 1",
        "Who gets it",
        ">customer",
        'type="password"',
        'type="date"',
    ):
        assert text in page
    assert "sesame" not in page


async def test_a_handler_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for name in ("nope", "%00", "%ff", "sendParcel%2F", "..%2f"):
        for answer in (await client.get(f"{BOARD}/handlers/{name}"), await client.post(f"{BOARD}/handlers/{name}")):
            assert answer.status_code == 404


async def test_the_cron_jobs_of_a_handler_are_listed_and_linked(
    settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('cron')}/cron.db"
    async with cron_board(settings(environment="local", database_url=url)) as board:
        row = await board.created()
        listed = (await board.client.get(f"{BOARD}/handlers")).text
        page = (await board.client.get(f"{BOARD}/handlers/heartbeat")).text
    for text in (f"{BOARD}/cron/{row['id']}", "0 3 * * *"):
        assert text in listed
        assert text in page
    assert "nightly" in page


async def test_without_the_database_of_the_cron_jobs_the_pages_say_so(client: httpx.AsyncClient) -> None:
    listed, page = await client.get(f"{BOARD}/handlers"), await client.get(PARCEL)
    assert (listed.status_code, page.status_code) == (200, 200)
    assert "not known now" in listed.text
    assert "cannot be read now" in page.text


async def test_a_board_that_is_read_only_has_no_form(app: App) -> None:
    async with client_of(create_app(app, read_only=True)) as client:
        page = await client.get(PARCEL)
        assert "<dt>Attempts</dt>" in page.text
        assert 'method="post"' not in page.text
        assert (await client.post(PARCEL, data=GOOD)).status_code == 403


# Enqueueing


async def test_a_form_enqueues_a_job_and_leads_to_its_page(client: httpx.AsyncClient, app: App) -> None:
    answer = await client.post(PARCEL, data=GOOD)
    assert answer.status_code == 303
    job = await job_at(app, answer.headers["location"])
    assert (job.name, job.envelope.payload) == (
        "sendParcel",
        {
            **dict.fromkeys(("weight_kg", "price", "speed", "is_fragile", "sent_at", "due", "link", "order")),
            **dict.fromkeys(("back_to", "notes", "pet", "pin")),
            "size": "small",
            "labels": ["new"],
            "api_key": "sesame",
            **SENT,
            "address": {"street": "High Street 1", "floor": None},
        },
    )
    page = await client.get(answer.headers["location"])
    assert "The job was enqueued." in page.text


async def test_a_form_as_it_is_shown_can_be_sent_as_a_browser_sends_it(client: httpx.AsyncClient, app: App) -> None:
    fields = fields_of((await client.get(PARCEL)).text)
    assert fields.keys() > GOOD.keys()
    answer = await client.post(PARCEL, data=fields | GOOD)
    assert answer.status_code == 303


async def test_options_are_taken_along(client: httpx.AsyncClient, app: App) -> None:
    options = {
        "options.delayMs": " 60000 ",
        "options.priority": "7",
        "options.attempts": "2",
        "options.jobId": "mine",
        "options.orderKey": "van:1",
        "options.related.type": "order",
        "options.related.id": "42",
        "options.queue": "vans",
    }
    answer = await client.post(PARCEL, data=GOOD | options)
    job = await job_at(app, answer.headers["location"])
    assert (job.id, job.queue, job.delay_ms, job.priority, job.attempts) == ("mine", "vans", 60_000, 7, 2)
    assert (job.envelope.order_key, job.envelope.related) == ("van:1", ("order", "42"))


async def test_a_time_with_its_zone_is_taken_for_a_delay(client: httpx.AsyncClient, app: App) -> None:
    answer = await client.post(PARCEL, data=GOOD | {"options.runAt": "2040-01-31T12:00:00+02:00"})
    view = await Inspector(app).job("jobs", (await job_at(app, answer.headers["location"])).id)
    assert view.run_at_ms == 2_211_616_800_000


async def test_a_handler_without_payload_has_a_button_and_takes_nothing(client: httpx.AsyncClient, app: App) -> None:
    page = (await client.get(f"{BOARD}/handlers/ping")).text
    assert "This handler takes no payload." in page
    answer = await client.post(f"{BOARD}/handlers/ping", data={})
    assert (await job_at(app, answer.headers["location"])).envelope.payload is None


async def test_a_payload_that_is_no_object_is_written_as_json(client: httpx.AsyncClient, app: App) -> None:
    answer = await client.post(f"{BOARD}/handlers/many", data={"as": "json", "payload": "[1, 2]"})
    assert (await job_at(app, answer.headers["location"])).envelope.payload == [1, 2]


async def test_a_job_id_that_exists_leads_to_that_job_and_says_so(client: httpx.AsyncClient) -> None:
    fields = GOOD | {"options.jobId": "mine"}
    await client.post(PARCEL, data=fields)
    again = await client.post(PARCEL, data=fields)
    assert again.headers["location"].startswith(f"{BOARD}/queues/jobs/jobs/mine?")
    assert "exists already" in (await client.get(again.headers["location"])).text


async def test_a_duplicate_is_refused_with_a_link_to_the_job_in_the_way(client: httpx.AsyncClient) -> None:
    fields = GOOD | {"options.related.type": "order", "options.related.id": "1"}
    first = await client.post(PARCEL, data=fields)
    answer = await client.post(PARCEL, data=fields)
    assert answer.status_code == 409
    assert f'href="{first.headers["location"].partition("?")[0]}"' in answer.text
    assert fields_of(answer.text) | fields == fields_of(answer.text)


# Written as JSON


async def test_the_same_can_be_written_as_json_and_in_fields_again(client: httpx.AsyncClient, app: App) -> None:
    as_json = await client.post(PARCEL, data=GOOD | {"options.priority": "7", "show": "json"})
    fields = fields_of(as_json.text)
    assert fields["as"] == "json"
    assert '"pieces": 2' in fields["payload"]
    in_fields = fields_of((await client.post(PARCEL, data=fields | {"show": "form"})).text)
    assert in_fields | GOOD | {"options.priority": "7"} == in_fields
    assert (await Inspector(app).queue("jobs")).counts["waiting"] == 0


async def test_json_that_the_fields_cannot_say_stays_json(client: httpx.AsyncClient) -> None:
    sent = {"as": "json", "payload": '{"customer": "Ann", "more": 1}', "show": "form"}
    page = (await client.post(PARCEL, data=sent)).text
    assert "the fields cannot say this" in page
    assert fields_of(page)["payload"] == sent["payload"]


async def test_what_is_wrong_in_json_is_said_below_it(client: httpx.AsyncClient) -> None:
    for text, fault in (("{", "is not JSON"), ('{"customer": 1}', "customer: Input should be a valid string")):
        answer = await client.post(PARCEL, data={"as": "json", "payload": text})
        assert answer.status_code == 400
        assert fault in (fault_at(answer.text, "payload") or "")
        assert fields_of(answer.text)["payload"] == text


# Faults


async def test_faults_stand_beside_their_fields_and_above_the_form_with_what_was_typed(
    client: httpx.AsyncClient,
) -> None:
    typed = GOOD | {"payload.pieces": "many", "payload.customer": "Zoë <b>"}
    answer = await client.post(PARCEL, data=typed)
    assert answer.status_code == 400
    page = answer.text
    assert fault_at(page, "payload.pieces") == "must be a whole number, not &#39;many&#39;"
    assert '<a href="#field-payload.pieces">pieces</a>' in page
    assert re.search(
        r'<input id="field-payload.pieces"[^>]* aria-invalid="true" aria-describedby="about-payload.pieces"', page
    )
    assert fields_of(page) | typed == fields_of(page)
    assert page.count('aria-invalid="true"') == 1
    assert 'role="alert" tabindex="-1" autofocus' in page


async def test_what_the_handler_says_of_a_payload_stands_beside_its_fields(client: httpx.AsyncClient) -> None:
    typed = {"payload.pieces": "100", "payload.is_gift": "", "payload.address.floor": "1", "payload.labels": "[1]"}
    page = (await client.post(PARCEL, data=typed)).text
    assert fault_at(page, "payload.pieces") == "Input should be less than 100"
    for name in ("payload.customer", "payload.is_gift", "payload.address.street"):
        assert fault_at(page, name) == "Field required"
    assert fault_at(page, "payload.labels") == "0: Input should be a valid string"


async def test_all_faults_are_told_at_once_in_the_order_of_the_fields(client: httpx.AsyncClient) -> None:
    typed = {"payload.labels": "[", "options.delayMs": "soon", "payload.is_gift": "true"}
    page = (await client.post(PARCEL, data=typed)).text
    assert re.findall(r'<li><a href="#field-([^"]*)">', page) == [
        *("payload.customer", "payload.pieces", "payload.address.street", "payload.labels", "options.delayMs"),
    ]


async def test_options_out_of_range_and_a_payload_that_is_refused_are_told_at_once(client: httpx.AsyncClient) -> None:
    wrong = {"payload.pieces": "100", "options.priority": "9999999", "options.attempts": "0", "options.jobId": "a:b"}
    page = (await client.post(PARCEL, data=GOOD | wrong)).text
    assert re.findall(r'<li><a href="#field-([^"]*)">', page) == list(wrong)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("options.delayMs", text) for text in ("x", "-1", "1.5", "9" * 30, "99999999999999999")),
        *(("options.runAt", text) for text in ("tomorrow", "2030-01-31T12:00:00", "9" * 400)),
        *(("options.priority", text) for text in ("2097152", "low")),
        *(("options.attempts", text) for text in ("0", "1000001")),
        *(("options.jobId", text) for text in ("a:b", "17", "wait", "x" * 300, "\x00")),
        *(("options.orderKey", text) for text in ("a\nb", "x" * 201)),
        *(("options.queue", text) for text in ("a:b", "{x}", "x" * 201)),
        ("options.related.type", "order"),
        ("options.related.id", "42"),
    ],
)
async def test_an_option_that_is_wrong_is_named_beside_its_field(
    client: httpx.AsyncClient, name: str, text: str
) -> None:
    answer = await client.post(PARCEL, data=GOOD | {name: text})
    assert answer.status_code == 400
    pair = {"options.related.type": "options.related.id", "options.related.id": "options.related.type"}
    assert fault_at(answer.text, pair.get(name, name))
    assert '<details class="options" open>' in answer.text


async def test_a_delay_and_a_time_are_one_too_many(client: httpx.AsyncClient) -> None:
    both = {"options.delayMs": "1", "options.runAt": "2030-01-31T12:00:00Z"}
    page = (await client.post(PARCEL, data=GOOD | both)).text
    assert fault_at(page, "options.runAt") == "give a delay or a time, not both"
