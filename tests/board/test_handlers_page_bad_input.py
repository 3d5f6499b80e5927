"""The form that enqueues a job, sent by somebody who did not get it from the board, or with odd text in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest

from board import create_app
from jobqueue.app import App
from tests.board.form_support import FORMS, GOOD, MARKUP, fault_at, fields_of
from tests.board.support import client_of
from tests.board.test_handlers_page import BOARD, PARCEL, job_at
from tests.conftest import MakeSettings


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(FORMS, settings(environment="local")) as app:
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(app)) as client:
        yield client


async def test_fields_that_the_form_does_not_ask_for_are_refused_by_name(client: httpx.AsyncClient) -> None:
    for name in ("payload.gone", "payload", "payload.address", "extra", MARKUP, "options.backoff"):
        answer = await client.post(PARCEL, data=GOOD | {name: "x"})
        assert answer.status_code == 400
        assert "is no field of this form" in answer.text
        assert "<script" not in answer.text.replace('<script type="module"', "")


async def test_a_field_that_is_sent_twice_is_refused(client: httpx.AsyncClient) -> None:
    body = urlencode([*GOOD.items(), ("payload.pieces", "3")])
    answer = await client.post(PARCEL, content=body, headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 400
    assert fault_at(answer.text, "payload.pieces") == "was sent twice"


@pytest.mark.parametrize("body", [b"payload.name=%ff", b"payload.name=caf\xe9", b"payload.name=\xc3\xa9", b"%ff=x"])
async def test_bytes_that_are_no_encoded_text_are_not_guessed(client: httpx.AsyncClient, body: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await client.post(f"{BOARD}/handlers/grow", content=body, headers=headers)
    assert answer.status_code == 400
    assert "UTF-8" in answer.text


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
async def test_what_is_no_form_is_refused(client: httpx.AsyncClient, content_type: str) -> None:
    answer = await client.post(PARCEL, content=b"a=b", headers={"content-type": content_type})
    assert answer.status_code == 400


async def test_a_body_that_is_too_large_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(PARCEL, data=GOOD | {"payload.customer": "x" * 4_000_000})
    assert answer.status_code == 413
    payload = await client.post(f"{BOARD}/handlers/grow", data={"payload.name": "x" * 1_100_000})
    assert payload.status_code == 413
    assert "the limit is" in payload.text


async def test_very_many_fields_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(PARCEL, data={f"payload.{number}": "x" for number in range(5_000)})
    assert answer.status_code == 400


async def test_text_of_every_script_arrives_as_it_was_typed(client: httpx.AsyncClient, app: App) -> None:
    name = "  \u202eRTL é漢😀 line one\r\nline two "
    answer = await client.post(f"{BOARD}/handlers/grow", data={"payload.name": name})
    job = await job_at(app, answer.headers["location"])
    assert job.envelope.payload["name"] == name.replace("\r\n", "\n")


async def test_odd_keys_are_shown_as_text_and_come_back_in_their_places(client: httpx.AsyncClient, app: App) -> None:
    page = (await client.get(f"{BOARD}/handlers/odd")).text
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "<img" not in page
    fields = fields_of(page)
    typed = {name: f"value of {name}" for name in fields if name.startswith("payload.") and name != "payload.choice"}
    typed["payload.choice"] = "</option><script>alert(1)</script>"
    answer = await client.post(f"{BOARD}/handlers/odd", data=fields | typed)
    job = await job_at(app, answer.headers["location"])
    assert set(job.envelope.payload) == {"a.b", "x[0]['y']", "", "__proto__", MARKUP, "choice"}
    assert job.envelope.payload["a.b"] == "value of payload.a%2Eb"
    assert job.envelope.payload["choice"] == "</option><script>alert(1)</script>"


async def test_what_was_typed_comes_back_as_text_and_never_as_markup(client: httpx.AsyncClient) -> None:
    typed = {"payload.customer": MARKUP * 20, "payload.pieces": MARKUP, "payload.labels": f"</textarea>{MARKUP}"}
    page = (await client.post(PARCEL, data=GOOD | typed)).text
    assert "<script>" not in page
    assert "<img" not in page
    assert "</textarea><script" not in page
    assert fields_of(page) | typed == fields_of(page)
