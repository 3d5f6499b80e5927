"""Metrics of a worker: what is counted, under which labels, and where it is served."""

from __future__ import annotations

import threading

import pytest
from prometheus_client import CollectorRegistry

from jobqueue import JobContext, fixed, make_job
from jobqueue.app import App
from jobqueue.events import Event
from jobqueue.prometheus import MAX_QUEUES, observe
from jobqueue.registry import Registry
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import at_work

PACK = {"queue": "jobs", "handler": "pack"}


async def work(ctx: JobContext, tries: int) -> None:
    if ctx.job.attempt < tries:
        raise ValueError("not yet")


pack = make_job(work, name="pack", attempts=2, backoff=fixed(1))


async def test_tries_are_counted_by_queue_handler_and_outcome(settings: MakeSettings) -> None:
    registry = CollectorRegistry()
    async with at_work(settings(), pack) as site:
        observe(site.app, registry)
        for tries in (1, 2, 3):
            await site.end_of((await site.app.enqueue_job(pack, tries)).job_id)

        def seen() -> dict[str, float | None]:
            outcomes = ("completed", "retried", "failed")
            return {one: registry.get_sample_value("jobqueue_tries_total", PACK | {"outcome": one}) for one in outcomes}

        await eventually(lambda: seen() == {"completed": 2, "retried": 2, "failed": 1})
        assert registry.get_sample_value("jobqueue_jobs_enqueued_total", PACK) == 3
        assert registry.get_sample_value("jobqueue_run_seconds_count", PACK) == 5
        assert registry.get_sample_value("jobqueue_wait_seconds_count", PACK) == 3
        assert registry.get_sample_value("jobqueue_active_jobs", PACK) == 0


async def test_what_is_at_work_is_told(settings: MakeSettings) -> None:
    go_on = threading.Event()

    def wait(ctx: JobContext) -> None:
        go_on.wait(10)

    registry, handler = CollectorRegistry(), make_job(wait, name="pack")
    async with at_work(settings(), handler) as site:
        observe(site.app, registry)
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: registry.get_sample_value("jobqueue_active_jobs", PACK) == 1)
        go_on.set()
        await job.wait(10)
        await eventually(lambda: registry.get_sample_value("jobqueue_active_jobs", PACK) == 0)


async def test_names_from_outside_make_no_labels(settings: MakeSettings) -> None:
    registry = CollectorRegistry()
    async with App(Registry([pack]), settings()) as app:
        observe(app, registry)
        for number in range(MAX_QUEUES + 5):
            app.events.emit(Event("job.failed", f"queue-{number}", f"handler-{number}", "1"))

    labels = [sample.labels for metric in registry.collect() for sample in metric.samples if "handler" in sample.labels]
    assert {one["handler"] for one in labels} == {"(others)"}
    assert len({one["queue"] for one in labels}) == MAX_QUEUES + 1


async def test_observing_ends_and_can_begin_anew(settings: MakeSettings) -> None:
    registry = CollectorRegistry()
    async with App(Registry([pack]), settings()) as app:
        stop = observe(app, registry)
        with pytest.raises(ValueError, match="Duplicated"):
            observe(app, registry)
        stop()
        observe(app, registry)
        app.events.emit(Event("job.enqueued", "jobs", "pack", "1"))
        assert registry.get_sample_value("jobqueue_jobs_enqueued_total", PACK) == 1
