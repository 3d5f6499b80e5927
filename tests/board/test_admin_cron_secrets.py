"""Secrets in the payload of a cron job: never shown, kept through edits, and not to be had by a detour."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel, JsonValue, SecretStr
from sqlalchemy import select, update

from jobqueue import JobContext, Registry, make_job
from jobqueue.cron.table import CronJobRow
from jobqueue.masking import MASK
from tests.board.cron_support import CRON, NIGHTLY, CronBoard, cron_board
from tests.conftest import MakeSettings

SECRET = "s3cr3t"


class Login(BaseModel):
    user: str
    pin: SecretStr


@make_job
async def log_in(ctx: JobContext, payload: Login) -> None: ...


@make_job
async def log_in_again(ctx: JobContext, payload: Login) -> None: ...


@make_job
async def anything(ctx: JobContext, payload: dict[str, JsonValue]) -> None: ...


@pytest.fixture
async def board(settings: MakeSettings) -> AsyncIterator[CronBoard]:
    registry = Registry([log_in, log_in_again, anything])
    async with cron_board(settings(environment="local"), registry=registry) as board:
        yield board


async def made(board: CronBoard, handler: str = "log_in", **payload: object) -> str:
    """The id of a cron job that holds a secret; its answer does not."""
    fields = NIGHTLY | {"handler": handler, "payload": payload or {"user": "ann", "pin": SECRET}}
    answer = await board.client.post(CRON, json=fields)
    assert answer.status_code == 201, answer.text
    assert SECRET not in answer.text
    cron_job_id: str = answer.json()["data"]["id"]
    return cron_job_id


async def stored(board: CronBoard) -> Any:
    async with board.database.transaction() as session:
        return await session.scalar(select(CronJobRow.payload))


async def test_secrets_are_masked_wherever_a_cron_job_is_shown(board: CronBoard) -> None:
    cron_job_id = await made(board)
    one, listed = await board.client.get(f"{CRON}/{cron_job_id}"), await board.client.get(CRON)
    assert one.json()["data"]["payload"] == listed.json()["data"][0]["payload"] == {"user": "ann", "pin": MASK}
    assert SECRET not in one.text + listed.text
    assert await stored(board) == {"user": "ann", "pin": SECRET}


async def test_a_payload_that_comes_back_masked_keeps_its_secret(board: CronBoard) -> None:
    cron_job_id = await made(board)
    shown = await board.shown(cron_job_id)
    changed = await board.changed(cron_job_id, payload=shown["payload"] | {"user": "bob"})
    assert changed["payload"] == {"user": "bob", "pin": MASK}
    assert await stored(board) == {"user": "bob", "pin": SECRET}


async def test_a_secret_is_changed_by_giving_another(board: CronBoard) -> None:
    cron_job_id = await made(board)
    await board.changed(cron_job_id, payload={"user": "ann", "pin": "other"})
    assert await stored(board) == {"user": "ann", "pin": "other"}


async def test_a_new_secret_is_not_undone_by_an_edit_that_was_made_of_the_old_one(board: CronBoard) -> None:
    """What a mask stood for was read before the row was locked, and so one of two changes brought the old pin back."""
    for attempt in range(10):
        cron_job_id = await made(board)
        new = {"user": "ann", "pin": f"new {attempt}"}
        await asyncio.gather(
            *(board.changed(cron_job_id, payload={"user": f"bob {n}", "pin": MASK}) for n in range(4)),
            board.changed(cron_job_id, payload=new),
        )
        assert (await stored(board))["pin"] == new["pin"]
        await board.client.delete(f"{CRON}/{cron_job_id}")


async def test_a_trigger_runs_with_the_secret_that_was_kept(board: CronBoard) -> None:
    cron_job_id = await made(board)
    await board.changed(cron_job_id, payload={"user": "bob", "pin": MASK})
    answer = await board.client.post(f"{CRON}/{cron_job_id}/trigger")
    job = await board.app.queue().job(answer.json()["data"]["jobId"])
    assert job.envelope.payload == {"user": "bob", "pin": SECRET}


async def test_a_secret_inside_a_text_is_kept_however_the_text_is_spelled(board: CronBoard) -> None:
    cron_job_id = await made(board, "anything", body=json.dumps({"token": SECRET, "n": 1}))
    await board.changed(cron_job_id, payload={"body": f'{{ "token":"{MASK}",  "n":2 }}'})
    assert json.loads((await stored(board))["body"]) == {"token": SECRET, "n": 2}


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"user": MASK, "pin": MASK}, "payload.user"),
        ({"user": "ann", "pin": SECRET, "more": {"token": MASK}}, "payload.more.token"),
        (MASK, "payload"),
    ],
)
async def test_a_mask_that_stands_for_nothing_is_refused(board: CronBoard, payload: object, field: str) -> None:
    cron_job_id = await made(board)
    answer = await board.client.patch(f"{CRON}/{cron_job_id}", json={"payload": payload})
    assert (answer.status_code, list(answer.json()["fieldErrors"])) == (400, [field])
    assert await stored(board) == {"user": "ann", "pin": SECRET}


async def test_a_new_cron_job_cannot_have_masks_for_secrets(board: CronBoard) -> None:
    """It once would have been saved, and each run would have logged in with asterisks."""
    fields = NIGHTLY | {"handler": "log_in", "payload": {"user": "ann", "pin": MASK}}
    answer = await board.client.post(CRON, json=fields)
    assert (answer.status_code, list(answer.json()["fieldErrors"])) == (400, ["payload.pin"])


@pytest.mark.parametrize("payload", [{}, {"payload": {"user": "ann", "pin": MASK}}], ids=["as it is", "sent back"])
async def test_another_handler_cannot_be_used_to_look_at_a_secret(board: CronBoard, payload: dict[str, object]) -> None:
    cron_job_id = await made(board)
    answer = await board.client.patch(f"{CRON}/{cron_job_id}", json={"handler": "anything"} | payload)
    assert (answer.status_code, list(answer.json()["fieldErrors"])) == (400, ["payload"])
    assert SECRET not in answer.text
    assert (await board.shown(cron_job_id))["handler"] == "log_in"


async def test_another_handler_that_hides_the_secret_takes_it_over(board: CronBoard) -> None:
    cron_job_id = await made(board)
    changed = await board.changed(cron_job_id, handler="log_in_again")
    assert changed["payload"] == {"user": "ann", "pin": MASK}
    assert await stored(board) == {"user": "ann", "pin": SECRET}


async def test_another_handler_takes_a_payload_that_is_given_anew(board: CronBoard) -> None:
    cron_job_id = await made(board)
    changed = await board.changed(cron_job_id, handler="anything", payload={"n": 1})
    assert (changed["handler"], changed["payload"]) == ("anything", {"n": 1})


async def test_a_secret_whose_handler_has_left_the_registry_stays_hidden(board: CronBoard) -> None:
    """Masked by names alone, the pin was for everybody to see."""
    cron_job_id = await made(board)
    async with board.database.transaction() as session:
        await session.execute(update(CronJobRow).values(handler="gone"))
    one, listed = await board.client.get(f"{CRON}/{cron_job_id}"), await board.client.get(CRON)
    assert one.json()["data"]["payload"] == listed.json()["data"][0]["payload"] == MASK
    moved = await board.client.patch(f"{CRON}/{cron_job_id}", json={"handler": "anything"})
    assert (moved.status_code, list(moved.json()["fieldErrors"])) == (400, ["payload"])


async def test_what_is_wrong_with_a_secret_is_said_without_it(board: CronBoard) -> None:
    cron_job_id = await made(board)
    answer = await board.client.patch(f"{CRON}/{cron_job_id}", json={"payload": {"pin": {"deep": SECRET}}})
    assert answer.json()["fieldErrors"].keys() == {"payload.user", "payload.pin"}
    assert SECRET not in answer.text
