"""Spans: what is drawn for enqueues and tries, and what is their parent."""

from __future__ import annotations

import json

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import JsonValue
from redis.asyncio import Redis

from jobqueue import JobContext, fixed, flow, make_job
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.database import open_database
from jobqueue.errors import DatabaseUnavailable
from jobqueue.queue_acts import pause, resume
from jobqueue.upgrades import upgrade
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.telemetry.in_process import noted, tell_span
from tests.telemetry.traced import context_of, id_of, parent_of, traced
from tests.worker.harness import ask, keys_of
from tests.worker.processes import SLOW_START_S


async def _nothing(ctx: JobContext) -> None: ...


nothing = make_job(_nothing, name="nothing")


async def test_a_try_is_a_child_of_the_span_that_stored_its_job(settings: MakeSettings) -> None:
    async with traced(settings(), nothing) as here:
        with here.provider.get_tracer("a service").start_as_current_span("a request"):
            job = await here.site.app.enqueue_job(nothing)
        await here.site.end_of(job.job_id)
        await eventually(lambda: here.named("process jobs"))

        [request], [added], [ran] = (here.named(name) for name in ("a request", "add jobs.nothing", "process jobs"))
        assert (parent_of(added), parent_of(ran)) == (id_of(request), id_of(added))
        assert (added.kind, ran.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
        told = {name: (ran.attributes or {})[name] for name in ("bullmq.job.id", "bullmq.job.name", "jobqueue.outcome")}
        assert told == {"bullmq.job.id": job.job_id, "bullmq.job.name": "nothing", "jobqueue.outcome": "completed"}


async def test_each_try_has_a_span_and_what_it_raised(settings: MakeSettings) -> None:
    async def work(ctx: JobContext) -> None:
        if ctx.job.attempt == 1:
            raise ValueError("not yet")

    handler = make_job(work, backoff=fixed(1))
    async with traced(settings(), handler) as here:
        job = await here.site.app.enqueue_job(handler)
        await job.wait(10)
        first, second = await eventually(lambda: (there := here.named("process jobs"))[1:] and there)

    assert parent_of(first) == parent_of(second)
    assert (first.status.status_code, second.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    [raised] = first.events
    said = raised.attributes or {}
    assert (raised.name, said["exception.type"], said["exception.message"]) == ("exception", "ValueError", "not yet")
    assert 'raise ValueError("not yet")' in str(said["exception.stacktrace"])
    assert [(span.attributes or {})["bullmq.job.attempts.made"] for span in (first, second)] == [1, 2]


async def test_a_job_that_cannot_be_run_has_a_span_that_says_why(settings: MakeSettings) -> None:
    other = make_job(_nothing, name="notServedHere")
    async with traced(settings(), nothing) as here:
        job = await here.site.app.enqueue_job(other)
        assert (await here.site.end_of(job.job_id))[0] == "failed"
        [ran] = await eventually(lambda: here.named("process jobs"))

    assert ran.status.status_code is StatusCode.ERROR
    assert "notServedHere" in (ran.status.description or "")


async def test_what_a_thread_draws_is_below_its_try(settings: MakeSettings) -> None:
    def work(ctx: JobContext) -> str:
        return f"{trace.get_current_span().get_span_context().span_id:x}"

    handler = make_job(work)
    async with traced(settings(), handler) as here:
        job = await here.site.app.enqueue_job(handler)
        seen = await job.wait(10)
        [ran] = await eventually(lambda: here.named("process jobs"))

    assert seen == f"{id_of(ran):x}"


async def test_another_process_goes_on_with_the_trace_of_its_try(settings: MakeSettings) -> None:
    async with traced(settings(), tell_span, noted) as here:
        job = await here.site.app.enqueue_job(tell_span)
        seen = await job.wait(SLOW_START_S)
        [ran] = await eventually(lambda: [one for one in here.named("process jobs") if _handler_of(one) == "tellSpan"])
        [added] = here.named("add jobs.noted")

    assert seen == f"{id_of(ran):x}"
    assert parent_of(added) == id_of(ran)


def _handler_of(span: ReadableSpan) -> object:
    return (span.attributes or {})["bullmq.job.name"]


async def test_a_batch_and_a_flow_are_one_span_each(settings: MakeSettings) -> None:
    async with traced(settings(), nothing) as here:
        await here.site.app.enqueue_jobs([(nothing, None)] * 3)
        await here.site.app.enqueue_flow(flow(nothing, children=[flow(nothing)]))
        await eventually(lambda: len(here.named("process jobs")) == 5)

        [batch], [tree] = here.named("addBulk jobs"), here.named("addFlow jobs")
        assert (batch.attributes or {})["bullmq.job.bulk.count"] == 3
        parents = [parent_of(span) for span in here.named("process jobs")]
        assert sorted(parents, key=str) == sorted([id_of(batch)] * 3 + [id_of(tree)] * 2, key=str)


async def test_a_job_that_goes_by_the_outbox_keeps_its_trace(settings: MakeSettings, sqlite_url: str) -> None:
    await upgrade(sqlite_url, MIGRATIONS)
    async with open_database(sqlite_url) as database, traced(settings(), nothing) as here:
        async with database.transaction() as session:
            job = await here.site.app.enqueue_job(nothing, session=session)
        await job.wait(10)
        [ran] = await eventually(lambda: here.named("process jobs"))
        [added] = here.named("add jobs.nothing")

    assert parent_of(ran) == id_of(added)


async def test_a_job_without_a_trace_begins_one_whatever_the_worker_was_started_in(settings: MakeSettings) -> None:
    provider = TracerProvider()
    with provider.get_tracer("a service").start_as_current_span("whatever starts the worker"):
        async with traced(settings(), nothing) as here:
            tracing, here.site.app.tracing = here.site.app.tracing, None
            await pause(here.site.app.queue())
            await here.site.app.enqueue_job(nothing)
            here.site.app.tracing = tracing
            await resume(here.site.app.queue())
            [ran] = await eventually(lambda: here.named("process jobs"))

    assert parent_of(ran) is None


NO_TEXT: list[JsonValue] = [7, None, True, [], {"traceparent": "00-1-1-1"}]
NO_CONTEXT = ["", "{", "[]", "null", '{"traceparent":7}', "[" * 9_000, "x" * 100_000, '{"traceparent":"00-\\ud800"}']
MALFORMED: list[JsonValue] = [*NO_TEXT, *NO_CONTEXT, '{"traceparent":"' + "0" * 100 + '"}']


async def test_what_is_no_context_in_the_telemetry_field_costs_nothing(settings: MakeSettings, redis: Redis) -> None:
    own = settings()
    async with traced(own, nothing) as here:
        await pause(here.site.app.queue())
        jobs = await here.site.app.enqueue_jobs([(nothing, None)] * len(MALFORMED))
        for job, carried in zip(jobs, MALFORMED, strict=True):
            key = keys_of(own).job(job.job_id)
            options = json.loads(await ask(redis, "HGET", key, "opts"))
            await ask(redis, "HSET", key, "opts", json.dumps({**options, "tm": carried}))
        await resume(here.site.app.queue())

        assert [await here.site.end_of(job.job_id) for job in jobs] == [("completed", "null")] * len(jobs)
        spans = await eventually(lambda: (there := here.named("process jobs"))[len(jobs) - 1 :] and there)
        assert [parent_of(span) for span in spans] == [None] * len(jobs)


async def test_the_context_is_stored_as_node_stores_it(settings: MakeSettings) -> None:
    async with traced(settings(), nothing) as here:
        job = await here.site.app.enqueue_job(nothing, delay_ms=60_000)
        stored = await here.site.job(job.job_id)
        [added] = here.named("add jobs.nothing")

    carried = json.loads(stored.options["tm"])
    begins = f"00-{context_of(added).trace_id:032x}-{id_of(added):016x}-0"
    assert carried.keys() == {"traceparent"}
    assert carried["traceparent"].startswith(begins)


async def test_an_enqueue_that_fails_is_a_span_that_failed(settings: MakeSettings, sqlite_url: str) -> None:
    async with open_database(sqlite_url) as database, traced(settings(), nothing) as here:
        with pytest.raises(DatabaseUnavailable, match="tables are missing"):
            async with database.transaction() as session:
                await here.site.app.enqueue_job(nothing, session=session)

        [added] = here.named("add jobs.nothing")
        assert added.status.status_code is StatusCode.ERROR
