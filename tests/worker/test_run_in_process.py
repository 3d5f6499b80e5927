"""A handler that runs in a process of its own: what it is handed there, and what comes back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue.handler import Handler
from jobqueue.settings import Settings
from tests.conftest import MakeSettings
from tests.worker.harness import ask, at_work, keys_of
from tests.worker.processes import SLOW_START_S
from tests.worker.programs import in_process as program

PICTURE = program.Picture(path=Path("shop/a.png"))


async def log_of(redis: Redis, settings: Settings, job_id: str) -> list[str]:
    lines: list[str] = await ask(redis, "LRANGE", keys_of(settings).job_logs(job_id), 0, -1)
    return lines


@pytest.mark.parametrize(
    ("handler", "last"), [(program.on_loop, 10), (program.in_main_thread, "MainThread")], ids=["async def", "def"]
)
async def test_a_handler_runs_in_another_process_with_its_payload_as_its_own_type(
    settings: MakeSettings, handler: Handler[program.Picture], last: object
) -> None:
    async with at_work(settings(), *program.HANDLERS) as site:
        job = await site.app.enqueue_job(handler, PICTURE)
        pid, *seen = await job.wait(SLOW_START_S)

        assert pid != os.getpid()
        assert pid in site.worker.processes.pids
        assert seen == ["Picture", "a.png", last]


async def test_a_function_that_was_wrapped_elsewhere_is_found_by_its_own_name(settings: MakeSettings) -> None:
    async with at_work(settings(), program.bare_handler) as site:
        job = await site.app.enqueue_job(program.bare_handler, PICTURE)

        assert await job.wait(SLOW_START_S) == 10


async def test_the_job_of_its_context_is_the_job_that_is_stored(settings: MakeSettings) -> None:
    async with at_work(settings(), *program.HANDLERS, name="worker-1") as site:
        asked = await site.app.enqueue_job(program.describe, job_id="tür-1", related=("order", "7"))
        seen = await asked.wait(SLOW_START_S)
        job = await site.job(asked.job_id)

        assert seen == ["tür-1", "describe", 1, job.enqueued_at_ms, ["order", "7"], "worker-1", None]


async def test_a_singleton_has_its_fence_there(settings: MakeSettings) -> None:
    async with at_work(settings(), *program.HANDLERS) as site:
        fences = [await (await site.app.enqueue_job(program.fenced)).wait(SLOW_START_S) for _ in range(2)]

        assert fences[0] < fences[1]


@pytest.mark.parametrize("ending", ["returns", "raises", "dies"])
async def test_what_it_logs_and_reports_arrives_in_order_and_all_of_it_however_it_ends(
    settings: MakeSettings, redis: Redis, ending: str
) -> None:
    last = {
        "returns": [],
        "raises": ["failed: then not"],
        "dies": ["failed: its process ended with exit status 3"],
    }[ending]
    ours = settings()

    async with at_work(ours, *program.HANDLERS) as site:
        job = await site.app.enqueue_job(program.report, ending)
        await site.end_of(job.job_id, SLOW_START_S)

        assert await log_of(redis, ours, job.job_id) == [f"step {step}" for step in range(100)] + last
        assert (await site.job(job.job_id)).progress == {"step": 99}


async def test_what_it_logs_with_logging_goes_to_the_worker_s_log_and_to_the_job_s(
    settings: MakeSettings, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    ours = settings()

    async with at_work(ours, *program.HANDLERS) as site:
        job = await site.app.enqueue_job(program.logs)
        await site.end_of(job.job_id, SLOW_START_S)

        assert await log_of(redis, ours, job.job_id) == [
            f"WARNING shop.pictures: hello from {job.job_id}",
            "WARNING shop.pictures: and from a thread",
            "ERROR shop.pictures: so it is",
        ]
    theirs = [record for record in caplog.records if record.name == "shop.pictures"]
    assert [record.getMessage() for record in theirs] == [f"hello from {job.job_id}", "and from a thread", "so it is"]
    assert theirs[0].filename == "in_process.py"
    assert "ValueError: broken" in caplog.text
    assert "not this" not in caplog.text


async def test_its_standard_output_is_the_worker_s_and_its_standard_input_is_empty(
    settings: MakeSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    async with at_work(settings(), *program.HANDLERS) as site:
        job = await site.app.enqueue_job(program.writes)

        assert await job.wait(SLOW_START_S) == "but this"

    written = capfd.readouterr()
    assert '["Result","not this"]\n' in written.out
    assert "to standard error\n" in written.err


async def test_what_the_lifespan_opened_stays_in_the_worker(settings: MakeSettings) -> None:
    async with at_work(settings(), *program.HANDLERS) as site:
        job = await site.app.enqueue_job(program.opens)
        state, reason = await site.end_of(job.job_id, SLOW_START_S)

        assert state == "failed"
        assert "no resource of type Picture here" in (reason or "")
        assert "opens what it needs itself" in (reason or "")


@pytest.mark.parametrize(("handler", "word"), [(program.listens, "heard"), (program.looks, "saw")])
async def test_the_signal_reaches_it_while_it_is_at_work(
    settings: MakeSettings, redis: Redis, handler: Handler[None], word: str
) -> None:
    ours = settings()

    async with at_work(ours, *program.HANDLERS) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id, SLOW_START_S) == ("failed", "timed out after 300 ms")
        assert await log_of(redis, ours, job.job_id) == [
            f"{word} timed out after 300 ms",
            "failed: timed out after 300 ms",
        ]
        assert len(site.worker.processes.pids) == 1  # it ended by itself: nothing was killed


# Enqueueing


async def test_it_enqueues_jobs_that_record_it_as_their_creator(settings: MakeSettings) -> None:
    async with at_work(settings(), *program.HANDLERS) as site:
        job = await site.app.enqueue_job(program.enqueues)
        job_ids = await job.wait(SLOW_START_S)

        assert len(set(job_ids)) == 5
        for job_id in job_ids:
            assert await site.end_of(job_id) == ("completed", json.dumps(job.job_id))
        assert (await site.job(job_ids[1])).options["backoff"] == {"type": "fixed", "delay": 7}


async def test_what_is_wrong_with_a_job_that_it_enqueues_is_raised_there_with_its_class_and_its_field(
    settings: MakeSettings,
) -> None:
    async with at_work(settings(), *program.HANDLERS) as site:
        job = await site.app.enqueue_job(program.enqueues_in_vain)
        told: list[Any] = await job.wait(SLOW_START_S)

        assert told == ["UnknownHandler: handler", "InvalidPayload: payload.path", "InvalidOption: priority"]


async def test_it_may_enqueue_a_job_for_another_service_by_its_handle(settings: MakeSettings) -> None:
    async with at_work(settings(), *program.HANDLERS) as site:
        job_id = await (await site.app.enqueue_job(program.enqueues_elsewhere)).wait(SLOW_START_S)

        assert (await site.job(job_id)).name == "ofAnotherService"
        assert (await site.job(job_id)).envelope.payload == 7


async def test_it_may_wait_for_children_that_it_added(settings: MakeSettings) -> None:
    async with at_work(settings(), *program.HANDLERS) as site:
        job = await site.app.enqueue_job(program.parent)

        children = [f"a-{job.job_id}", f"b-{job.job_id}"]
        assert await job.wait(SLOW_START_S) == [*children, job.job_id, job.job_id]
        assert (await site.job(job.job_id)).attempts_made == 1
