"""Admin routes of cron jobs: list, create, read, change, delete and trigger, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update
from starlette.applications import Starlette
from starlette.routing import Mount

from board import create_app
from jobqueue import App, JobContext, Registry, make_job
from jobqueue.clock import now_ms
from jobqueue.cron import next_run
from jobqueue.cron.migrations import FOLDER
from jobqueue.cron.table import CronJobRow
from jobqueue.upgrades import upgrade
from jobqueue.worker import Worker
from tests.board.cron_support import CRON, NIGHTLY, CronBoard, cron_board, data_of
from tests.board.support import REGISTRY, client_of
from tests.conftest import MakeSettings
from tests.support.eventually import eventually

NOWHERE = f"{CRON}/0198c5a0-0000-7000-8000-000000000000"


@pytest.fixture
async def board(settings: MakeSettings, database_url: str) -> AsyncIterator[CronBoard]:
    """Someone at the machine where the board runs."""
    async with cron_board(settings(environment="local", database_url=database_url)) as board:
        yield board


async def names(board: CronBoard, query: str = "") -> list[str]:
    return [row["name"] for row in (await board.client.get(f"{CRON}{query}")).json()["data"]]


# Create and read


async def test_a_cron_job_is_created_with_its_defaults_and_can_be_read_back(board: CronBoard) -> None:
    before_ms = now_ms()
    created = await board.created()
    given = {**NIGHTLY, "jobId": "nightly", "payload": None, "description": None, "timezone": "UTC"}
    policy = {"priority": 0, "enabled": True, "maxAttempts": 3, "backoffMs": 5_000}
    rules = {"overlap": "skip", "misfire": "run_once", "source": "admin", "createdBy": "admin"}
    happened = dict.fromkeys(("lastRunAt", "lastStatus", "lastJobId", "lastCompletedAt"))
    assert created.items() >= (given | policy | rules | happened).items()
    assert before_ms - 1 <= created["createdAt"] == created["updatedAt"] <= now_ms()
    assert await board.shown(created["id"]) == created


async def test_everything_that_is_given_is_kept(board: CronBoard) -> None:
    given = {
        "name": "Nightly ü <b>",
        "jobId": "nightly.sync",
        "description": "one\ntwo",
        "pattern": "*/30 * * * * *",
        "timezone": "America/New_York",
        "handler": "syncData",
        "payload": {"resource_id": "r", "due": "2030-01-31"},
        "priority": 7,
        "enabled": False,
        "maxAttempts": 1,
        "backoffMs": 0,
        "overlap": "queue",
        "misfire": "skip",
    }
    created = await board.created(**given)
    assert created.items() >= given.items()
    assert await board.shown(created["id"]) == created


async def test_the_next_run_is_shown_of_what_is_enabled_and_of_nothing_else(board: CronBoard) -> None:
    fields = {"pattern": "30 1 * * *", "timezone": "America/New_York"}
    created = await board.created(**fields)
    assert created["nextRunAt"] == next_run("30 1 * * *", "America/New_York", now_ms())
    assert (await board.changed(created["id"], enabled=False))["nextRunAt"] is None


async def test_what_happened_is_shown_in_epoch_milliseconds(board: CronBoard) -> None:
    created = await board.created()
    moment = datetime(2026, 1, 1, 0, 0, 0, 123_000, UTC)
    happened = {"last_run_at": moment, "last_completed_at": moment, "last_status": "completed", "last_job_id": "7"}
    async with board.database.transaction() as session:
        await session.execute(update(CronJobRow).values(**happened))
    shown = await board.shown(created["id"])
    at_ms = 1_767_225_600_123
    assert shown.items() >= {"lastRunAt": at_ms, "lastCompletedAt": at_ms}.items()
    assert shown.items() >= {"lastStatus": "completed", "lastJobId": "7"}.items()


async def test_the_list_is_by_name_with_offset_limit_and_total(board: CronBoard) -> None:
    for name in ("c", "a", "b"):
        await board.created(name=name)
    assert await names(board) == ["a", "b", "c"]
    answer = (await board.client.get(f"{CRON}?offset=1&limit=1&unknown=1")).json()
    assert ([row["name"] for row in answer["data"]], answer["total"]) == (["b"], 3)
    assert await names(board, f"?offset={'9' * 30}") == []


@pytest.mark.parametrize("query", ["?limit=0", "?limit=-1", "?limit=x", "?offset=-1", "?offset=%00", "?limit=999999"])
async def test_numbers_of_a_list_that_make_no_sense_are_clamped_or_passed_over(board: CronBoard, query: str) -> None:
    await board.created()
    assert await names(board, query) == ["nightly"]


async def test_a_list_holds_a_hundred_rows_at_most(board: CronBoard) -> None:
    async with board.database.transaction() as session:
        row = {"payload": None, "pattern": "@daily", "handler": "heartbeat", "enabled": False}
        times = {"created_at": datetime.now(UTC), "updated_at": datetime.now(UTC)}
        session.add_all(CronJobRow(id=f"{n}", job_id=f"{n}", name=f"{n}", **row, **times) for n in range(101))
    answer = (await board.client.get(f"{CRON}?limit=1000")).json()
    assert (len(answer["data"]), answer["total"]) == (100, 101)


# Duplicates


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"name": "nightly", "jobId": "other"}, "name"), ({"name": "other", "jobId": "nightly"}, "jobId")],
)
async def test_a_name_and_a_job_id_belong_to_one_cron_job(board: CronBoard, fields: dict[str, str], field: str) -> None:
    await board.created()
    other = await board.created(name="third")
    for answer in (
        await board.client.post(CRON, json=NIGHTLY | fields),
        await board.client.patch(f"{CRON}/{other['id']}", json={field: "nightly"}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (409, "duplicate")
        assert list(answer.json()["fieldErrors"]) == [field]
    assert await names(board) == ["nightly", "third"]
    assert await board.shown(other["id"]) == other


async def test_of_many_who_create_one_cron_job_at_once_exactly_one_does(board: CronBoard) -> None:
    answers = await asyncio.gather(*(board.client.post(CRON, json=NIGHTLY) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert await names(board) == ["nightly"]


# Change


async def test_changes_at_the_same_time_all_hold(board: CronBoard) -> None:
    cron_job_id = (await board.created())["id"]
    changes: dict[str, Any] = {
        "maxAttempts": 9,
        "priority": 4,
        "description": "new",
        "enabled": False,
        "misfire": "skip",
    }
    await asyncio.gather(*(board.changed(cron_job_id, **{name: value}) for name, value in changes.items()))
    assert (await board.shown(cron_job_id)).items() >= changes.items()


async def test_only_what_is_given_is_changed(board: CronBoard) -> None:
    created = await board.created(description="as it was", payload=None)
    changed = await board.changed(created["id"], maxAttempts=9, description=None)
    assert changed == created | {"maxAttempts": 9, "description": None, "updatedAt": changed["updatedAt"]}
    assert changed["updatedAt"] >= created["updatedAt"]
    assert await board.shown(created["id"]) == changed


async def test_a_change_that_says_nothing_changes_nothing(board: CronBoard) -> None:
    created = await board.created()
    assert await board.changed(created["id"]) == created
    assert await board.changed(created["id"], name="nightly", enabled=True) == created


async def test_one_becomes_true_where_a_change_says_so(board: CronBoard) -> None:
    """To Python 1 and true are equal, to JSON they are not."""
    created = await board.created(handler="note", payload={"a": 1})
    changed = await board.changed(created["id"], payload={"a": True})
    assert changed["payload"]["a"] is True
    assert (await board.shown(created["id"]))["payload"]["a"] is True


async def test_a_cron_job_can_be_given_another_handler_with_its_payload(board: CronBoard) -> None:
    created = await board.created()
    changed = await board.changed(created["id"], handler="note", payload={"a": [1, None]})
    assert (changed["handler"], changed["payload"]) == ("note", {"a": [1, None]})


# Delete


async def test_a_deleted_cron_job_is_gone(board: CronBoard) -> None:
    created, other = await board.created(), await board.created(name="other")
    path = f"{CRON}/{created['id']}"
    deleted = await board.client.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    for answer in (
        await board.client.get(path),
        await board.client.patch(path, json={"enabled": True}),
        await board.client.delete(path),
        await board.client.post(f"{path}/trigger"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert await names(board) == [other["name"]]


@pytest.mark.parametrize("cron_job_id", ["nightly", "%00", "%ff", "..%2f", "x" * 5_000, "'%3b--", "<b>"])
async def test_an_id_that_is_none_is_a_404(board: CronBoard, cron_job_id: str) -> None:
    await board.created()
    path = f"{CRON}/{cron_job_id}"
    for answer in (
        await board.client.get(path),
        await board.client.patch(path, json={}),
        await board.client.delete(path),
        await board.client.post(f"{path}/trigger"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_a_method_that_is_none_is_a_405(board: CronBoard) -> None:
    for method, path in (("PUT", CRON), ("DELETE", CRON), ("POST", NOWHERE), ("GET", f"{NOWHERE}/trigger")):
        assert (await board.client.request(method, path)).status_code == 405


# Trigger


async def test_a_trigger_stores_a_job_with_the_rows_payload_and_retry_policy(board: CronBoard) -> None:
    fields = {"handler": "note", "payload": {"a": 1}, "maxAttempts": 7, "backoffMs": 250, "priority": 3}
    created = await board.created(**fields)
    answer = await board.client.post(f"{CRON}/{created['id']}/trigger")
    assert (answer.status_code, set(data_of(answer))) == (202, {"jobId", "handler"})
    assert data_of(answer)["handler"] == "note"
    job = await board.app.queue("notes").job(data_of(answer)["jobId"])
    assert (job.envelope.type, job.envelope.id, job.envelope.payload) == ("cronTrigger", created["id"], {"a": 1})
    assert (job.attempts, job.priority, job.options["backoff"]) == (7, 3, {"type": "exponential", "delay": 250})
    assert job.envelope.created_by == "admin"


async def test_each_trigger_is_a_job_of_its_own(board: CronBoard) -> None:
    path = f"{CRON}/{(await board.created())['id']}/trigger"
    answers = [await board.client.post(path, json={}), await board.client.post(path)]
    assert len({data_of(answer)["jobId"] for answer in answers}) == 2


@make_job(attempts=5)
async def always_fails(ctx: JobContext) -> None:
    raise RuntimeError(f"at try {ctx.job.attempt}")


async def test_a_trigger_of_a_disabled_row_runs_with_the_rows_retry_policy(
    settings: MakeSettings, database_url: str
) -> None:
    made = settings(environment="local", database_url=database_url)
    async with cron_board(made, registry=Registry([always_fails])) as board:
        created = await board.created(handler="always_fails", enabled=False, maxAttempts=2, backoffMs=1)
        job_id = data_of(await board.client.post(f"{CRON}/{created['id']}/trigger"))["jobId"]
        worker = Worker(board.app)
        await worker.start()

        async def ended() -> dict[str, Any] | None:
            job = data_of(await board.client.get(f"/api/admin/job/{job_id}"))
            return job if job["state"] == "failed" else None

        try:
            job = await eventually(ended)
        finally:
            await worker.stop()
    assert (job["attemptsMade"], job["failedReason"], job["type"]) == (2, "at try 2", "cronTrigger")


async def test_a_trigger_whose_handler_is_gone_is_a_400_that_names_it(board: CronBoard) -> None:
    created = await board.created()
    async with board.database.transaction() as session:
        await session.execute(update(CronJobRow).values(handler="gone"))
    answer = await board.client.post(f"{CRON}/{created['id']}/trigger")
    assert (answer.status_code, list(answer.json()["fieldErrors"])) == (400, ["handler"])
    assert (await board.shown(created["id"]))["handler"] == "gone"


# Without a database of the caller's


async def test_a_mounted_board_that_is_given_no_database_opens_its_own(
    settings: MakeSettings, database_url: str
) -> None:
    made = settings(environment="local", database_url=database_url)
    await upgrade(database_url, [FOLDER])
    async with App(REGISTRY, made) as app:
        outer = Starlette(routes=[Mount("/ops", create_app(app))])
        async with client_of(outer) as client:
            created = data_of(await client.post(f"/ops{CRON}", json=NIGHTLY))
            assert data_of(await client.get(f"/ops{CRON}/{created['id']}")) == created
            assert (await client.delete(f"/ops{CRON}/{created['id']}")).status_code == 204
