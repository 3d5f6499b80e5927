"""queueCleanup: finished jobs of all queues that are older than some days."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final, Protocol

import pytest

from handlers.queue_cleanup import RemovedByQueue, queue_cleanup
from jobqueue import App, Registry
from jobqueue.cleaning import BATCH
from jobqueue.clock import now_ms
from jobqueue.context import AbortReason, Resources
from jobqueue.errors import InvalidPayload, JobCancelled
from tests.board.support import complete, fail, heartbeat, note
from tests.conftest import MakeSettings
from tests.handlers.support.contexts import new_context, new_job

DAY_MS: Final = 24 * 60 * 60 * 1000


class CleanUp(Protocol):
    """Run the handler with a payload as it comes from JSON."""

    async def __call__(self, **payload: object) -> RemovedByQueue: ...


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncGenerator[App]:
    """An app with the queues `jobs` and `notes`, which have workers."""
    async with App(Registry([heartbeat, note]), settings()) as app:
        for name in app.queue_names():
            await app.queue(name).write_meta()
        yield app


@pytest.fixture
def clean_up(app: App) -> CleanUp:
    async def run(**payload: object) -> RemovedByQueue:
        context = new_context(new_job(), Resources(app))
        result: RemovedByQueue = await queue_cleanup.function(context, queue_cleanup.validate(payload))
        return result

    return run


async def completed(app: App, age_in_days: float) -> str:
    enqueued = await app.enqueue_job(heartbeat)
    await complete(app, enqueued, "null", now_ms() - int(age_in_days * DAY_MS))
    return enqueued.job_id


async def failed_note(app: App, age_in_days: float) -> str:
    enqueued = await app.enqueue_job(note, {})
    await fail(app, enqueued, "no", at_ms=now_ms() - int(age_in_days * DAY_MS))
    return enqueued.job_id


async def test_after_five_days_finished_jobs_of_all_queues_go(app: App, clean_up: CleanUp) -> None:
    kept = await completed(app, 4.9)
    await completed(app, 5.1)
    await completed(app, 50)
    await failed_note(app, 6)

    assert await clean_up() == {"jobs": {"completed": 2, "failed": 0}, "notes": {"completed": 0, "failed": 1}}

    assert await app.queue().state(kept) == "completed"


async def test_the_payload_says_after_how_many_days(app: App, clean_up: CleanUp) -> None:
    kept = await completed(app, 0.4)
    await completed(app, 0.6)

    assert (await clean_up(queueHistoryInDays=0.5))["jobs"]["completed"] == 1

    assert await app.queue().state(kept) == "completed"


async def test_the_payload_may_name_the_queues(app: App, clean_up: CleanUp) -> None:
    kept = await completed(app, 50)
    await failed_note(app, 50)

    assert await clean_up(queues=["notes", "notes"]) == {"notes": {"completed": 0, "failed": 1}}

    assert await app.queue().state(kept) == "completed"


async def test_jobs_that_are_not_finished_stay_however_old(app: App, clean_up: CleanUp) -> None:
    waiting = await app.enqueue_job(heartbeat)
    await app.client.call("HSET", app.queue().keys.job(waiting.job_id), "timestamp", 1_600_000_000_000)

    assert await clean_up(queueHistoryInDays=1) == {
        "jobs": {"completed": 0, "failed": 0},
        "notes": {"completed": 0, "failed": 0},
    }

    assert await app.queue().state(waiting.job_id) == "waiting"


async def test_a_queue_of_bullmq_5_is_passed_over_and_does_not_stop_the_others(
    app: App, clean_up: CleanUp, caplog: pytest.LogCaptureFixture
) -> None:
    await completed(app, 50)
    await app.client.call("HSET", app.queue("notes").keys.of("meta"), "version", "bullmq:5.41.0")

    assert await clean_up() == {"jobs": {"completed": 1, "failed": 0}}

    assert "notes is passed over" in caplog.text


async def test_a_run_that_is_told_to_stop_ends_between_two_batches(app: App) -> None:
    items = await app.enqueue_jobs([(heartbeat, None)] * (BATCH + 10))
    for enqueued in items:
        await complete(app, enqueued, "null", now_ms() - 6 * DAY_MS)
    context = new_context(new_job(), Resources(app))
    context.signal.abort(AbortReason("cancelled", "no longer wanted"))

    with pytest.raises(JobCancelled, match="no longer wanted"):
        await queue_cleanup.function(context, queue_cleanup.validate({}))

    assert await app.client.call("ZCARD", app.queue().keys.of("completed")) == 10


@pytest.mark.parametrize(
    "payload",
    [
        {"queueHistoryInDays": 0},
        {"queueHistoryInDays": -5},
        {"queueHistoryInDays": "NaN"},
        {"queueHistoryInDays": 1e9},
        {"queueHistoryDays": 90},
        {"queues": ["a:b"]},
        {"queues": "jobs"},
    ],
)
def test_a_payload_that_would_remove_too_much_is_refused(payload: dict[str, object]) -> None:
    with pytest.raises(InvalidPayload):
        queue_cleanup.validate(payload)
