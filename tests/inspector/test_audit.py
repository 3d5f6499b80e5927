"""The audit log: every act is noted before it is made, and what came of it after."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue.app import App
from jobqueue.doctor import search
from jobqueue.errors import (
    InvalidCronJob,
    InvalidPayload,
    JobFinished,
)
from jobqueue.inspector import Actor, Inspector, JobFilter, Operator
from jobqueue.inspector.auditing import KEEP_ENTRIES, KEEP_MS, MAX_DETAILS, MAX_TEXT
from jobqueue.masking import MASK
from tests.board.support import complete, fail, heartbeat
from tests.inspector.support import entries_of


async def test_an_entry_says_who_did_what_to_which_job_and_what_came_of_it(
    app: App, inspector: Inspector, operator: Operator
) -> None:
    job = await app.enqueue_job(heartbeat)

    await operator.cancel("jobs", job.job_id, "not wanted")

    [entry] = await entries_of(inspector)
    assert (entry.actor, entry.via, entry.request_id) == ("alice", "basic", "request-1")
    assert (entry.action, entry.queue, entry.target) == ("cancel", "jobs", job.job_id)
    assert (dict(entry.details), entry.outcome, entry.count) == ({"reason": "not wanted"}, "done", None)
    assert entry.finished_at_ms is not None
    assert entry.at_ms <= entry.finished_at_ms


async def test_every_act_has_its_entry(app: App, inspector: Inspector, operator: Operator) -> None:
    jobs = [await app.enqueue_job(heartbeat) for _ in range(3)]
    for job in jobs:
        await fail(app, job, "no")
    later = [await app.enqueue_job(heartbeat, delay_ms=60_000) for _ in range(2)]
    again = await operator.enqueue_again("jobs", jobs[0].job_id, None, {})
    await operator.retry("jobs", jobs[0].job_id)
    await operator.promote("jobs", later[0].job_id)
    await operator.remove("jobs", later[0].job_id)
    await operator.pause("jobs")
    await operator.resume("jobs")
    await operator.retry_failed("jobs")
    await operator.promote_delayed("jobs")
    await operator.apply("jobs", "cancel", [again.job_id], "why")
    await operator.apply_to_all("jobs", "remove", "failed", JobFilter(name="heartbeat"))
    await operator.drain("jobs", delayed=True)
    await operator.clean("jobs", "completed", 1_000)
    await operator.enqueue("heartbeat", None, {})

    found = [(entry.action, entry.target, entry.count, entry.outcome) for entry in await entries_of(inspector)]

    assert [row[0] for row in reversed(found)] == [
        *("enqueue again", "retry", "promote", "remove", "pause", "resume", "retry failed", "promote delayed"),
        *("cancel selected", "remove matching", "drain", "clean", "enqueue"),
    ]
    assert {row[3] for row in found} == {"done"}
    counts = {action: count for action, _, count, _ in found if count is not None}
    assert counts == {
        "retry failed": 2,
        "promote delayed": 1,
        "cancel selected": 1,
        "remove matching": 1,
        "drain": 4,
        "clean": 0,
    }


async def test_a_bulk_act_is_one_entry_with_its_filter_and_counts(
    app: App, inspector: Inspector, operator: Operator
) -> None:
    await app.enqueue_job(heartbeat)
    await operator.apply_to_all("jobs", "cancel", "waiting", JobFilter(name="heartbeat", created_by=None), "why")
    [entry] = await entries_of(inspector)
    assert dict(entry.details) == {
        "state": "waiting",
        "name": "heartbeat",
        "reason": "why",
        "refused": 0,
        "complete": True,
    }
    assert entry.count == 1


async def test_a_refusal_is_noted_with_its_reason(app: App, inspector: Inspector, operator: Operator) -> None:
    job = await app.enqueue_job(heartbeat)
    await complete(app, job, "1")
    with pytest.raises(JobFinished):
        await operator.retry("jobs", job.job_id)
    [entry] = await entries_of(inspector)
    assert entry.outcome == f"refused: job '{job.job_id}' is completed, not failed"


async def test_what_a_payload_holds_is_neither_in_the_entry_nor_in_the_log(
    app: App, inspector: Inspector, operator: Operator, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="jobqueue.audit")
    await operator.enqueue("syncData", {"resource_id": "SECRET-1", "pinCode": "SECRET-2"}, {})
    with pytest.raises(InvalidPayload):
        await operator.enqueue("syncData", {"resource_id": ["SECRET-3"], "SECRET-4": 1}, {})
    stored = str(await redis.xrange(app.queue().keys.audit()))
    assert "SECRET" not in stored.replace("payload.SECRET-4", "")
    assert "SECRET" not in "".join(str(vars(record)) for record in caplog.records)
    good, bad = reversed(await entries_of(inspector))
    assert (good.details, good.target) == ({"handler": "syncData"}, "1")
    assert bad.outcome == "refused: not valid: payload.resource_id"


async def test_details_are_masked_and_bounded(app: App, inspector: Inspector, operator: Operator) -> None:
    details: dict[str, Any] = {"apiToken": "s3cr3t", "deep": {"password": "s3cr3t"}, "long": "x" * 100_000}
    details |= {f"many-{number}": "y" * MAX_TEXT for number in range(100)} | {"odd\ud800\n": "\udcff\u202e\x00"}
    async with operator.audited("change", "jobs", "t" * 100_000, details):
        pass
    [entry] = await entries_of(inspector)
    assert entry.details["apiToken"] == MASK
    assert entry.details["deep"] == {"password": MASK}
    assert len(str(entry.details["long"])) == MAX_TEXT
    assert len(json.dumps(dict(entry.details))) < 2 * MAX_DETAILS + 100 * 20
    assert len(entry.target or "") == MAX_TEXT


async def test_a_name_cannot_forge_an_entry_or_a_line(
    app: App, inspector: Inspector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="jobqueue.audit")
    await app.queue().write_meta()
    liar = Actor("eve\naudit: drain jobs by bob: done\u202e\ud800" + "x" * 10_000, "basic", "r\r\n1")
    job_id = "1\n2\ud7ff\x00"
    await app.client.call("HSET", app.queue().keys.job(job_id), "name", "n", "data", "{}", "timestamp", "1")
    await app.client.call("ZADD", app.queue().keys.of("completed"), 1, job_id)
    with pytest.raises(JobFinished):
        await inspector.acting_as(liar).retry("jobs", job_id)
    [entry] = await entries_of(inspector)
    assert entry.actor.startswith("eve\ufffdaudit")
    assert len(entry.actor) == MAX_TEXT
    assert (entry.request_id, entry.target) == ("r\ufffd\ufffd1", "1\ufffd2\ud7ff\ufffd")
    [record] = caplog.records
    assert "\n" not in record.getMessage()


async def test_one_line_of_the_log_tells_of_an_act(
    app: App, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="jobqueue.audit")
    await app.queue().write_meta()
    await operator.pause("jobs")
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == ("INFO", "audit: pause jobs by alice: done")
    assert vars(record)["audit"] == {
        "action": "pause",
        "actor": "alice",
        "via": "basic",
        "requestId": "request-1",
        "queue": "jobs",
        "outcome": "done",
    }


# Acts that are made elsewhere


async def test_an_act_that_is_made_elsewhere_says_what_was_learnt_on_the_way(
    inspector: Inspector, operator: Operator
) -> None:
    async with operator.audited("create cron job", "jobs", details={"name": "nightly"}) as act:
        [begun] = await entries_of(inspector)
        act.target = "row-1"
    [entry] = await entries_of(inspector)
    assert (begun.outcome, begun.finished_at_ms, begun.target) == (None, None, None)
    assert (entry.outcome, entry.target, dict(entry.details)) == ("done", "row-1", {"name": "nightly"})
    assert entry.at_ms == begun.at_ms


async def test_an_act_that_fails_says_so_without_what_a_library_says(inspector: Inspector, operator: Operator) -> None:
    for error in (RuntimeError("password=s3cr3t"), InvalidCronJob({"payload.pin": "s3cr3t is no pin"})):
        with pytest.raises(type(error)):
            async with operator.audited("change", "jobs"):
                raise error
    refused, failed = await entries_of(inspector)
    assert (failed.outcome, refused.outcome) == ("failed: RuntimeError", "refused: not valid: payload.pin")


# How long it stays


async def test_the_log_keeps_the_last_entries_and_ends_by_itself(app: App, operator: Operator, redis: Redis) -> None:
    await app.queue().write_meta()
    key = app.queue().keys.audit()
    async with redis.pipeline(transaction=False) as pipeline:
        for number in range(KEEP_ENTRIES + 5):
            pipeline.xadd(key, {"actor": "a", "via": "basic", "action": "pause", "number": number})
        await pipeline.execute()
    await operator.pause("jobs")
    assert await redis.xlen(key) == KEEP_ENTRIES
    assert 0 < await redis.pttl(key) <= KEEP_MS


async def test_old_entries_go_with_the_next_act(
    app: App, operator: Operator, inspector: Inspector, redis: Redis
) -> None:
    await app.queue().write_meta()
    key = app.queue().keys.audit()
    seconds, _ = await redis.time()
    now_ms = int(seconds) * 1_000
    for at_ms in (now_ms - KEEP_MS - 60_000, now_ms - KEEP_MS + 60_000):
        await redis.xadd(key, {"actor": "a", "via": "basic", "action": "old"}, id=f"{at_ms}-1")
    await operator.pause("jobs")
    assert [entry.action for entry in await entries_of(inspector)] == ["pause", "old"]


async def test_the_doctor_knows_the_log(app: App, operator: Operator, redis: Redis) -> None:
    await app.queue().write_meta()
    await operator.pause("jobs")
    assert not (await search(app.queue(), pause_s=0)).judged
    await redis.persist(app.queue().keys.audit())
    assert [*map(str, (await search(app.queue(), pause_s=0)).judged)] == ["job:audit:log"]
