"""One trace through Node and Python: a real Node service with BullMQ's own telemetry, and a collector that judges.

Node adds a job, Python runs it; that one enqueues a job for Python and one for Node, and Node runs it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from jobqueue import JobContext, make_job
from jobqueue.app import App
from jobqueue.otel import instrument
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.worker import Worker
from tests.interop.node_process import HERE
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer
from tests.telemetry.collector import Collector, SeenSpan, collecting

SECRET = "a secret of the customer"


@pytest.fixture(scope="module")
def collector(shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector that has taken the spans of both services, which have ended."""
    database_url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('traced') / 'jobqueue.db'}"
    settings = Settings.load(redis_url=shared_redis.url, jobs_prefix="traced", database_url=database_url)
    with collecting() as collector:
        asyncio.run(_run_both_services(settings, collector))
        yield collector


async def _run_both_services(settings: Settings, collector: Collector) -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))

    async def order(ctx: JobContext, payload: dict[str, str]) -> None:
        with provider.get_tracer("a service in Python").start_as_current_span("packing"):
            await ctx.enqueue_job(receipt, payload)
        await ctx.enqueue_job(shipped, payload, queue="node")

    async def write_receipt(ctx: JobContext, payload: dict[str, str]) -> None: ...

    receipt, shipped = make_job(write_receipt, name="receipt"), make_job(write_receipt, name="shipped")
    async with App(Registry([make_job(order), receipt, shipped]), settings) as app:
        instrument(app, provider)

        async def both_have_ended() -> bool:
            return bool(await app.client.call("ZCARD", app.queue().keys.of("completed")) == 2)

        async with Worker(app, queues=["jobs"]):
            program = (shutil.which("node") or "node", "traced.mjs", settings.redis_url, "traced", collector.url)
            node = await asyncio.create_subprocess_exec(*program, cwd=HERE)
            assert await asyncio.wait_for(node.wait(), 20) == 0
            await eventually(both_have_ended)
    await asyncio.to_thread(provider.shutdown)


def test_all_spans_of_both_languages_are_in_one_trace(collector: Collector) -> None:
    wanted = {
        *("a request in Node", "add jobs.order", "process jobs", "packing", "add jobs.receipt"),
        *("add node.shipped", "process node", "what the handler in Node does"),
    }
    request = collector.named("a request in Node")
    assert {span.name for span in collector.spans if span.trace_id == request.trace_id} >= wanted


def test_a_job_that_node_added_runs_below_node_s_span(collector: Collector) -> None:
    added = collector.named("add jobs.order")
    assert added.parent_id == collector.named("a request in Node").span_id
    [ran] = [span for span in collector.spans if span.parent_id == added.span_id]
    assert (ran.name, ran.scope, ran.attributes["bullmq.job.name"]) == ("process jobs", "jobqueue", "order")
    assert collector.children_of(ran) == {"packing", "add node.shipped"}


def test_the_job_that_it_created_is_below_what_the_handler_was_at(collector: Collector) -> None:
    added = collector.named("add jobs.receipt")
    assert added.parent_id == collector.named("packing").span_id
    [ran] = [span for span in collector.spans if span.parent_id == added.span_id]
    assert (ran.name, ran.attributes["bullmq.job.name"]) == ("process jobs", "receipt")


def test_node_runs_a_job_of_ours_below_our_span(collector: Collector) -> None:
    added, ran = collector.named("add node.shipped"), collector.named("process node")
    assert (added.scope, ran.scope) == ("jobqueue", "a service in Node")
    assert ran.parent_id == added.span_id
    assert "what the handler in Node does" in collector.children_of(ran)


def test_no_payload_leaves_with_our_spans(collector: Collector) -> None:
    assert not [body for body in collector.bodies if SECRET.encode() in body]


def test_our_attributes_have_node_s_names(collector: Collector) -> None:
    node, ours = collector.named("add jobs.order"), collector.named("add jobs.receipt")
    assert node.attributes.keys() <= ours.attributes.keys()
    node, ours = collector.named("process node"), _process_span_of(collector, "receipt")
    assert node.attributes.keys() - ours.attributes.keys() <= {"bullmq.worker.id"}


def _process_span_of(collector: Collector, handler: str) -> SeenSpan:
    [span] = [
        span
        for span in collector.spans
        if span.name == "process jobs" and span.attributes.get("bullmq.job.name") == handler
    ]
    return span
