"""Enqueue again: a form that says what a job's page shows, and a new job with what came back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from board import create_app
from jobqueue.app import App
from jobqueue.encoding import as_object
from jobqueue.inspector import Inspector
from jobqueue.job import Enqueued
from jobqueue.masking import MASK
from tests.board.form_support import FORMS, SENT, fault_at, fields_of
from tests.board.support import client_of
from tests.conftest import MakeSettings

BOARD = "/bullBoard"


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(FORMS, settings(environment="local")) as app:
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(app)) as client:
        yield client


def again_of(enqueued: Enqueued) -> str:
    return f"{BOARD}/queues/{enqueued.queue}/jobs/{quote(enqueued.job_id, safe='')}/again"


async def stored(app: App, job_id: str) -> dict[str, object]:
    """A job's payload with its secrets in clear."""
    return as_object((await app.queue().job(job_id)).envelope.payload)


async def new_job(client: httpx.AsyncClient, answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].partition("?")[0].rpartition("/")[2]


async def test_sent_unchanged_the_new_job_is_like_the_old_one_with_its_secrets(
    client: httpx.AsyncClient, app: App
) -> None:
    old = await app.enqueue_job("sendParcel", {**SENT, "pin": "1234"}, order_key="van:1", priority=7, attempts=2)
    page = (await client.get(again_of(old))).text
    fields = fields_of(page)
    assert fields["payload.pin"] == fields["payload.api_key"] == MASK
    assert "1234" not in page
    assert "sesame" not in page
    new = await new_job(client, await client.post(again_of(old), data=fields))
    assert new != old.job_id
    assert await stored(app, new) == await stored(app, old.job_id)
    job = await app.queue().job(new)
    assert (job.envelope.order_key, job.priority, job.attempts) == ("van:1", 7, 2)


async def test_what_is_changed_is_changed_and_a_secret_may_be_typed_over(client: httpx.AsyncClient, app: App) -> None:
    old = await app.enqueue_job("sendParcel", {**SENT, "pin": "1234"})
    fields = fields_of((await client.get(again_of(old))).text)
    edited = fields | {"payload.customer": "Zoë", "payload.pin": "5678", "options.priority": "3"}
    new = await new_job(client, await client.post(again_of(old), data=edited))
    payload = await stored(app, new)
    assert (payload["customer"], payload["pin"], payload["api_key"]) == ("Zoë", "5678", "sesame")
    assert (await stored(app, old.job_id))["customer"] == "Ann"
    assert (await app.queue().job(new)).priority == 3


async def test_masks_are_kept_through_json_and_back(client: httpx.AsyncClient, app: App) -> None:
    old = await app.enqueue_job("sendParcel", {**SENT, "pin": "1234"})
    fields = fields_of((await client.get(again_of(old))).text)
    as_json = fields_of((await client.post(again_of(old), data=fields | {"show": "json"})).text)
    assert json.loads(as_json["payload"])["pin"] == MASK
    new = await new_job(client, await client.post(again_of(old), data=as_json))
    assert (await stored(app, new))["pin"] == "1234"


async def test_a_mask_that_stands_for_nothing_is_refused_beside_its_field(client: httpx.AsyncClient, app: App) -> None:
    old = await app.enqueue_job("sendParcel", SENT)
    fields = fields_of((await client.get(again_of(old))).text)
    answer = await client.post(again_of(old), data=fields | {"payload.customer": MASK})
    assert answer.status_code == 400
    assert "no stored value" in (fault_at(answer.text, "payload.customer") or "")


async def test_a_payload_that_the_fields_cannot_say_comes_as_json(client: httpx.AsyncClient, app: App) -> None:
    old = await app.enqueue_job("grow", {"name": "x"})
    data = json.dumps({"type": "adhoc", "payload": {"name": "y", "unknown": [1], "password": "hunter2"}})
    await app.client.call("HSET", app.queue().keys.job(old.job_id), "data", data)
    page = (await client.get(again_of(old))).text
    assert "hunter2" not in page
    assert json.loads(fields_of(page)["payload"]) == {"name": "y", "unknown": [1], "password": MASK}


async def test_a_job_whose_handler_is_not_known_here_is_enqueued_again_as_json(
    client: httpx.AsyncClient, app: App
) -> None:
    old = await app.enqueue_job("grow", {"name": "x"})
    keys = app.queue().keys
    await app.client.call("HSET", keys.job(old.job_id), "name", "foreign", "data", '{"to": 1, "token": "s"}')
    fields = fields_of((await client.get(again_of(old))).text)
    assert json.loads(fields["payload"]) == {"to": 1, "token": MASK}
    edited = fields | {"payload": '{"to": 2, "token": "********"}'}
    new = await new_job(client, await client.post(again_of(old), data=edited))
    assert (await app.queue().job(new)).name == "foreign"
    assert await stored(app, new) == {"to": 2, "token": "s"}


async def test_faults_are_shown_with_what_was_typed_and_nothing_is_enqueued(
    client: httpx.AsyncClient, app: App
) -> None:
    old = await app.enqueue_job("sendParcel", SENT)
    fields = fields_of((await client.get(again_of(old))).text) | {"payload.pieces": "1000"}
    answer = await client.post(again_of(old), data=fields)
    assert answer.status_code == 400
    assert fault_at(answer.text, "payload.pieces") == "Input should be less than 100"
    assert fields_of(answer.text) == fields
    assert (await Inspector(app).queue("jobs")).counts["waiting"] == 1


async def test_a_duplicate_of_the_job_itself_is_refused_with_a_link_to_it(client: httpx.AsyncClient, app: App) -> None:
    old = await app.enqueue_job("sendParcel", SENT, related=("order", "1"))
    fields = fields_of((await client.get(again_of(old))).text)
    answer = await client.post(again_of(old), data=fields)
    assert answer.status_code == 409
    assert f'href="{BOARD}/queues/jobs/jobs/{old.job_id}">job {old.job_id}</a>' in answer.text


async def test_it_is_in_the_audit_log_without_the_secrets(client: httpx.AsyncClient, app: App) -> None:
    old = await app.enqueue_job("sendParcel", {**SENT, "pin": "1234"})
    fields = fields_of((await client.get(again_of(old))).text)
    await client.post(again_of(old), data=fields | {"payload.pin": "5678"})
    [entry] = (await Inspector(app).audit()).entries
    assert entry.outcome == "done"
    assert "5678" not in json.dumps(dict(entry.details))
