"""Misfire: what becomes of slots that came while nobody was there to run them."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from jobqueue import JobContext, Snooze, fixed, make_job
from jobqueue.clock import now_ms
from jobqueue.job import Envelope, Job, JobOptions
from jobqueue.worker.cron_runs import missed_slot
from jobqueue.worker.outcomes import Missed
from tests.conftest import MakeSettings
from tests.cron.slots import at_work, far_row, site
from tests.interop.node_peer import NodePeer
from tests.patterns.working import serving
from tests.support.eventually import eventually

HOUR_MS: Final = 3_600_000
NEW_YEAR_MS: Final = 1_767_225_600_000
"""2026-01-01 00:00 UTC."""


@make_job
async def work(ctx: JobContext) -> str:
    return "done"


def slot(pattern: str = "0 * * * *", *, tz: str = "UTC", **fields: Any) -> Job:
    """The job of the New Year's slot of a row that makes up for no missed ones, at its first claim."""
    options = JobOptions({"repeat": {"pattern": pattern, "tz": tz}})
    job_id, envelope = f"repeat:nightly:{NEW_YEAR_MS}", Envelope(None, type="cron", id="row", misfire="skip")
    job = Job(job_id, "jobs", "work", envelope, options, 0, scheduler_id="nightly", attempts_started=1)
    return job._replace(**fields)


def test_a_slot_is_in_time_within_a_minute() -> None:
    assert missed_slot(slot(), NEW_YEAR_MS + 60_000) is None


def test_a_slot_is_missed_after_a_minute_though_the_next_one_is_far_away() -> None:
    assert missed_slot(slot(), NEW_YEAR_MS + 60_001) == Missed(NEW_YEAR_MS, 60_001)


def test_a_slot_is_missed_as_soon_as_the_next_one_has_come() -> None:
    every_five_seconds = slot("*/5 * * * * *")
    assert missed_slot(every_five_seconds, NEW_YEAR_MS + 4_999) is None
    assert missed_slot(every_five_seconds, NEW_YEAR_MS + 5_000) == Missed(NEW_YEAR_MS, 5_000)


@pytest.mark.parametrize(
    "before",
    [
        {"attempts_started": 2},  # it was parked, put off or given back
        {"stalled_count": 1},  # its worker died
        {"attempts_made": 1, "attempts_started": 2},  # its last try failed
        {"stacktrace": ("Error: no route",)},  # retried by hand, by a tool that takes its counters back
        {"envelope": Envelope(None, type="cronTrigger", id="row", misfire="skip"), "scheduler_id": None},
        {"envelope": Envelope(None, type="cron", id="row")},  # of a row that makes up for what was missed
    ],
    ids=["claimed before", "stalled", "retried", "retried by hand", "triggered", "run once"],
)
def test_only_the_first_claim_of_a_slot_can_come_too_late(before: dict[str, Any]) -> None:
    assert missed_slot(slot(**before), NEW_YEAR_MS + HOUR_MS) is None


@pytest.mark.parametrize("repeat", [{"pattern": "nonsense"}, {"pattern": "* * * * * *", "tz": "Mars"}, {"every": 5}, 7])
def test_where_nobody_can_tell_the_next_slot_a_minute_is_what_counts(repeat: object) -> None:
    job = slot(options=JobOptions({"repeat": repeat}))
    assert missed_slot(job, NEW_YEAR_MS + 50_000) is None
    assert missed_slot(job, NEW_YEAR_MS + 70_000) == Missed(NEW_YEAR_MS, 70_000)


async def test_a_missed_slot_is_completed_as_skipped_and_the_next_one_stays(settings: MakeSettings) -> None:
    async with at_work(settings(), work) as made:
        row = await far_row(made, "work", misfire="skip")
        at_ms = now_ms() - HOUR_MS

        missed = await made.slot(row, at_ms)

        state, result = await made.ended(missed)
        told = json.loads(result or "")
        assert state == "completed"
        assert told.pop("lateMs") >= HOUR_MS
        assert told == {"skipped": True, "reason": "missed", "slot": at_ms}
        assert await made.ended(await made.slot(row)) == ("completed", '"done"')


async def test_a_missed_slot_runs_once_where_the_row_wants_it(settings: MakeSettings) -> None:
    runs: list[str] = []

    @make_job(name="work")
    async def note(ctx: JobContext) -> None:
        runs.append(ctx.job.id)

    async with site(settings(), note) as made:
        row = await made.cron.create(name="often", pattern="* * * * *", handler="work")
        missed = await made.slot(row, now_ms() - HOUR_MS)

        async with serving(made.app):
            await made.ended(missed)

            keys = made.app.queue().keys
            (waiting,) = await made.app.client.call("ZRANGE", keys.of("delayed"), 0, -1)
            assert int(waiting.rpartition(":")[2]) > now_ms() - 1_000, "the slots in between are dropped"
            assert runs == [missed]


async def test_a_slot_that_was_in_time_once_runs_however_late_its_next_try_is(settings: MakeSettings) -> None:
    tries: list[int] = []

    @make_job(name="work", backoff=fixed(1))
    async def stumble(ctx: JobContext) -> str:
        tries.append(ctx.job.attempts_started)
        if len(tries) == 1:
            raise Snooze(1_500)
        return "done"

    async with at_work(settings(), stumble) as made:
        row = await far_row(made, "work", misfire="skip")
        job_id = await made.slot(row, now_ms() - 59_000)

        assert await made.ended(job_id) == ("completed", '"done"')
        assert tries == [1, 2]


async def test_a_missed_slot_that_was_cancelled_says_so(settings: MakeSettings) -> None:
    async with site(settings(), work) as made:
        row = await far_row(made, "work", misfire="skip")
        job_id = await made.slot(row, now_ms() - HOUR_MS)
        await made.app.cancel_job(job_id, "not today")

        async with serving(made.app):
            assert await made.ended(job_id) == ("failed", "Cancelled: not today")


async def test_a_node_worker_runs_what_was_missed(settings: MakeSettings, redis_url: str) -> None:
    """Misfire is ours; what Node knows of the job is a job like any other."""
    made_settings = settings()
    async with site(made_settings, work) as made, NodePeer(redis_url, made_settings.jobs_prefix) as node:
        row = await far_row(made, "work", misfire="skip")
        job_id = await made.slot(row, now_ms() - HOUR_MS)

        await node.start_worker("value", {"value": "by Node"})

        assert await made.ended(job_id) == ("completed", '"by Node"')


async def test_a_slot_that_failed_is_not_missed_when_it_is_retried_by_hand(settings: MakeSettings) -> None:
    troubles = [RuntimeError("no route")]

    @make_job(name="work")
    async def fail_once(ctx: JobContext) -> str:
        if troubles:
            raise troubles.pop()
        return "done"

    async with at_work(settings(), fail_once) as made:
        row = await far_row(made, "work", misfire="skip", max_attempts=1)
        slot_ms = now_ms() - 59_000
        job_id = await made.slot(row, slot_ms)
        assert (await made.ended(job_id))[0] == "failed"
        await eventually(lambda: now_ms() - slot_ms > 60_000)

        await made.app.retry_job(job_id)

        assert await made.ended(job_id) == ("completed", '"done"')
