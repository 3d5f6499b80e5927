"""Enqueueing from a screen: anew, and once more with edits of what was shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from redis.asyncio import Redis

from jobqueue.app import App
from jobqueue.context import JobContext
from jobqueue.errors import (
    InvalidOption,
    InvalidPayload,
    JobNotFound,
    JobNotInState,
    PayloadTooLarge,
    UnknownHandler,
)
from jobqueue.inspector import Actor, Inspector, Operator
from jobqueue.job import Related, exponential
from jobqueue.masking import MASK
from jobqueue.registry import Registry
from jobqueue.wrappers import make_job
from tests.board.support import complete, heartbeat, note
from tests.conftest import MakeSettings
from tests.inspector.support import SOMEBODY


async def data_of(redis: Redis, prefix: str, job_id: str, queue: str = "jobs") -> Any:
    return json.loads(await redis.hget(f"{prefix}:{queue}:{job_id}", "data") or "null")


async def test_a_job_is_created_by_whom_its_options_name(
    app: App, operator: Operator, redis: Redis, prefix: str
) -> None:
    enqueued = await operator.enqueue("note", {"a": 1}, {"related": ("order", "7"), "priority": 3})
    assert enqueued.queue == "notes"
    data = await data_of(redis, prefix, enqueued.job_id, "notes")
    assert "createdBy" not in data
    assert data["related"] == {"type": "order", "id": "7"}
    assert await app.queue("notes").state(enqueued.job_id) == "prioritized"
    named = await operator.enqueue("note", {"a": 1}, {"created_by": "bob"})
    assert (await data_of(redis, prefix, named.job_id, "notes"))["createdBy"] == "bob"


async def test_a_long_name_is_cut_where_it_is_stored(
    inspector: Inspector, operator: Operator, redis: Redis, prefix: str
) -> None:
    first = await operator.enqueue("heartbeat", None, {})
    operator = inspector.acting_as(Actor("a\n" * 1_000, "local"))
    enqueued = await operator.enqueue_again("jobs", first.job_id, None, {})
    created_by = (await data_of(redis, prefix, enqueued.job_id))["createdBy"]
    assert len(created_by) <= 255
    assert created_by.startswith("a\ufffda")


async def test_what_cannot_be_enqueued_is_refused_and_noted(app: App, operator: Operator, inspector: Inspector) -> None:
    with pytest.raises(UnknownHandler):
        await operator.enqueue("nope", None, {})
    with pytest.raises(InvalidPayload):
        await operator.enqueue("syncData", {}, {})
    with pytest.raises(InvalidOption):
        await operator.enqueue("heartbeat", None, {"priority": -1})
    with pytest.raises(InvalidOption, match="queue"):
        await operator.enqueue("heartbeat", None, {"queue": "a:b"})
    outcomes = [entry.outcome or "" for entry in (await inspector.audit("jobs")).entries]
    assert [outcome[:9] for outcome in outcomes] == ["refused: "] * 3


# Once more


async def test_a_job_is_enqueued_again_with_a_new_id_and_what_was_asked_of_the_old_one(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    old = await app.enqueue_job(
        note,
        {"a": 1},
        job_id="first",
        priority=4,
        attempts=7,
        backoff=exponential(500),
        timeout_ms=9_000,
        order_key="k",
        related=("order", "7"),
        created_by="bob",
        delay_ms=60_000,
    )

    new = await operator.enqueue_again("notes", old.job_id, {"a": 2}, {})

    assert new.job_id != "first"
    view = await inspector.job("notes", new.job_id)
    assert view.job is not None
    envelope = view.job.envelope
    assert (envelope.payload, envelope.created_by, envelope.type) == ({"a": 2}, "alice", "adhoc")
    assert (envelope.related, envelope.order_key, envelope.timeout_ms) == (Related("order", "7"), "k", 9_000)
    assert (view.job.priority, view.job.attempts, view.job.delay_ms) == (4, 7, 0)
    assert view.job.options["backoff"] == {"type": "exponential", "delay": 500}
    [entry] = (await inspector.audit("notes")).entries
    assert (entry.target, dict(entry.details)) == (
        new.job_id,
        {"from": "first", "handler": "note", "queue": "notes"},
    )


async def test_an_option_that_is_given_wins_over_the_old_one(app: App, operator: Operator) -> None:
    old = await app.enqueue_job(note, {}, priority=4, order_key="k")
    new = await operator.enqueue_again("notes", old.job_id, {}, {"priority": 9, "order_key": "other"})
    job = await app.queue("notes").job(new.job_id)
    assert (job.priority, job.envelope.order_key) == (9, "other")


async def test_a_job_in_any_state_is_enqueued_again(app: App, operator: Operator) -> None:
    old = await app.enqueue_job(heartbeat)
    await complete(app, old, "1")
    new = await operator.enqueue_again("jobs", old.job_id, None, {})
    assert await app.queue().state(new.job_id) == "waiting"
    assert await app.queue().state(old.job_id) == "completed"


async def test_masks_that_come_back_stand_for_the_stored_secrets(
    app: App, operator: Operator, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    old = await app.enqueue_job("syncData", {"resource_id": "r", "pinCode": "1234"})
    view = await inspector.job("jobs", old.job_id)
    assert view.job is not None
    shown = dict(view.job.envelope.payload)
    assert shown["pinCode"] == MASK

    new = await operator.enqueue_again("jobs", old.job_id, {**shown, "resource_id": "s"}, {})

    payload = (await data_of(redis, prefix, new.job_id))["payload"]
    assert payload == {"resource_id": "s", "due": None, "pinCode": "1234"}


async def test_a_mask_without_a_secret_and_an_edit_that_would_show_one_are_refused_by_field(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    old = await app.enqueue_job("note", {"plain": "p", "nested": {"token": "s3cr3t", "b": 1}})
    with pytest.raises(InvalidPayload) as left:
        await operator.enqueue_again("notes", old.job_id, {"plain": MASK}, {})
    assert left.value.field_errors.keys() == {"payload.plain"}
    other = await app.enqueue_job("note", {"notes": '{"token": "s3cr3t"}', "list": [{"token": "s3cr3t"}]})
    with pytest.raises(InvalidPayload) as strange:
        await operator.enqueue_again("notes", other.job_id, {"list": MASK}, {})
    assert strange.value.field_errors.keys() == {"payload.list"}
    assert "s3cr3t" not in str(left.value) + str(strange.value)
    assert await app.queue("notes").state("3") == "unknown", "nothing was stored"


class Card(BaseModel):
    pin: SecretStr


@make_job
async def pair(ctx: JobContext, payload: tuple[dict[str, str] | Card, dict[str, str]]) -> None: ...


async def test_an_edit_that_would_show_a_secret_is_refused(settings: MakeSettings) -> None:
    """The items of a tuple have types of their own; turned round, the pin would be where nothing is hidden."""
    async with App(Registry([pair]), settings()) as app:
        old = await app.enqueue_job("pair", [{"pin": "1234"}, {"pin": "none"}])
        again = (
            Inspector(app).acting_as(SOMEBODY).enqueue_again("jobs", old.job_id, [{"pin": "none"}, {"pin": MASK}], {})
        )
        with pytest.raises(InvalidPayload, match="would show what is hidden"):
            await again


async def test_what_is_not_a_job_cannot_be_enqueued_again(
    app: App, operator: Operator, redis: Redis, prefix: str
) -> None:
    await app.queue().write_meta()
    await redis.hset(f"{prefix}:jobs:bad", mapping={"name": "heartbeat", "data": "{", "timestamp": "1"})
    for job_id in ("nope", "meta", "x" * 100_000, "a\ud800"):
        with pytest.raises((JobNotFound, InvalidOption)):
            await operator.enqueue_again("jobs", job_id, None, {})
    with pytest.raises(JobNotInState, match="malformed") as caught:
        await operator.enqueue_again("jobs", "bad", None, {})
    assert caught.value.actual == "malformed"


# Jobs of handlers that are not known here


@pytest.fixture
async def stranger(settings: MakeSettings) -> Any:
    """An operator of an app that knows no handlers."""
    async with App(settings=settings()) as app:
        yield Inspector(app).acting_as(SOMEBODY)


async def test_a_foreign_job_keeps_the_form_of_its_data(
    app: App, operator: Operator, redis: Redis, prefix: str
) -> None:
    await app.queue().write_meta()
    await redis.hset(f"{prefix}:jobs:abc", mapping={"name": "theirs", "timestamp": "1", "priority": "2"})
    await redis.hset(f"{prefix}:jobs:abc", "data", '{"type":"x","n":1}')
    await redis.hset(f"{prefix}:jobs:abc", "opts", '{"attempts":4,"lifo":true}')
    new = await operator.enqueue_again("jobs", "abc", {"type": "x", "n": 2}, {})
    assert await data_of(redis, prefix, new.job_id) == {"type": "x", "n": 2}
    job = await app.queue().job(new.job_id)
    assert (job.name, job.priority, job.attempts, "lifo" in job.options) == ("theirs", 2, 4, False)


async def test_a_job_of_an_unknown_handler_keeps_its_envelope_and_stands_in_line(
    app: App, stranger: Operator, redis: Redis, prefix: str
) -> None:
    old = await app.enqueue_job(note, {"token": "s3cr3t"}, order_key="k", related=("order", "7"), attempts=2)
    new = await stranger.enqueue_again("notes", old.job_id, {"token": MASK, "more": 1}, {"attempts": 3})
    assert await data_of(redis, prefix, new.job_id, "notes") == {
        "type": "adhoc",
        "payload": {"token": "s3cr3t", "more": 1},
        "createdBy": "alice",
        "related": {"type": "order", "id": "7"},
        "orderKey": "k",
    }
    job = await app.queue("notes").job(new.job_id)
    assert (job.envelope.payload, job.envelope.created_by) == ({"token": "s3cr3t", "more": 1}, "alice")
    assert (job.envelope.order_key, job.attempts) == ("k", 3)
    assert await app.queue("notes").state(new.job_id) == "waiting-children", "after the old one"
    assert await redis.smembers(f"{prefix}:notes:job:related:order:7") == {old.job_id, new.job_id}


async def test_a_payload_that_cannot_be_stored_is_refused(app: App, stranger: Operator) -> None:
    old = await app.enqueue_job(note, {})
    with pytest.raises(PayloadTooLarge):
        await stranger.enqueue_again("notes", old.job_id, "x" * 2_000_000, {})
    with pytest.raises(InvalidPayload):
        await stranger.enqueue_again("notes", old.job_id, "\ud800", {})
