"""A tracer that raises, an exporter that is down, attributes beyond all bounds: none of it costs a job."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from functools import partial
from typing import NoReturn

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from typing_extensions import override

from jobqueue import JobContext, flow, make_job
from jobqueue.otel import MAX_CARRIED, instrument
from jobqueue.tracing import Ended, Running, Sending, Span, Tracing
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.telemetry.traced import traced
from tests.worker.harness import at_work


async def work(ctx: JobContext, payload: str) -> None:
    if payload:
        raise ValueError(payload * 100_000 + "\ud800")


handler = make_job(work, attempts=1)


class Raising:
    """A tracer that is broken everywhere."""

    def sending(self, sending: Sending) -> NoReturn:
        raise SystemExit("sending")

    def running(self, running: Running) -> NoReturn:
        raise ValueError("running")


class RaisingLater:
    """A tracer whose spans are broken."""

    def sending(self, sending: Sending) -> Span:
        return RaisingSpan()

    def running(self, running: Running) -> Span:
        return RaisingSpan()


class RaisingSpan:
    @property
    def carried(self) -> str:
        raise ValueError("carried")

    def enter(self) -> None:
        raise ValueError("enter")

    def end(self, how: Ended) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("tracing", [Raising(), RaisingLater()], ids=["at once", "later"])
async def test_a_tracer_that_raises_costs_no_job(
    settings: MakeSettings, tracing: Tracing, caplog: pytest.LogCaptureFixture
) -> None:
    async with at_work(settings(), handler) as site:
        site.app.tracing = tracing
        one = await site.app.enqueue_job(handler, "")
        many = await site.app.enqueue_jobs([(handler, "")] * 2)
        tree = await site.app.enqueue_flow(flow(handler, "", children=[flow(handler, "")]))

        assert [(await site.end_of(job.job_id))[0] for job in (one, *many, tree)] == ["completed"] * 4
    told = [record for record in caplog.records if record.name == "jobqueue.tracing"]
    assert len(told) == 1, "said now and then, not for each span"


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        yield f"http://127.0.0.1:{deaf.getsockname()[1]}/v1/traces"


async def test_an_exporter_that_is_never_answered_holds_up_no_job(
    settings: MakeSettings, nobody: str, caplog: pytest.LogCaptureFixture
) -> None:
    provider = TracerProvider()
    exporter = OTLPSpanExporter(nobody, timeout=0.2)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=16, max_export_batch_size=8))
    caplog.set_level(logging.CRITICAL, logger="opentelemetry")  # it tells what it drops
    async with at_work(settings(), handler) as site:
        instrument(site.app, provider)
        jobs = await site.app.enqueue_jobs([(handler, "")] * 200)
        assert {(await site.end_of(job.job_id))[0] for job in jobs} == {"completed"}
    provider.shutdown()


async def test_attributes_are_bounded_and_can_be_sent(settings: MakeSettings) -> None:
    async with traced(settings(), handler) as here:
        job = await here.site.app.enqueue_job(handler, "x")
        await here.site.end_of(job.job_id)
        [ran] = await eventually(lambda: here.named("process jobs"))

    texts = [str(value) for event in ran.events for value in (event.attributes or {}).values()]
    texts += [str(value) for value in (ran.attributes or {}).values()] + [ran.status.description or ""]
    assert max(map(len, texts)) <= 20_000
    assert not [text for text in texts if "\ud800" in text]


async def test_baggage_that_is_too_much_stays_behind_and_the_trace_goes_on(settings: MakeSettings) -> None:
    async with traced(settings(), handler) as here:
        token = context.attach(baggage.set_baggage("shop", "y" * MAX_CARRIED))
        job = await here.site.app.enqueue_job(handler, "", delay_ms=60_000)
        context.detach(token)

        carried = json.loads((await here.site.job(job.job_id)).options["tm"])
        assert carried.keys() == {"traceparent"}


class JaegerLike(TextMapPropagator):
    """Another form of context than W3C's: each piece of baggage is a field of its own, which nothing bounds."""

    @property
    @override
    def fields(self) -> set[str]:
        return {"uber-trace-id"}

    @override
    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        span = trace.get_current_span(context).get_span_context()
        setter.set(carrier, "uber-trace-id", f"{span.trace_id:032x}:{span.span_id:016x}:0:1")
        for name, value in baggage.get_all(context).items():
            setter.set(carrier, f"uberctx-{name}", str(value))

    @override
    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        raise NotImplementedError("nothing is read here")


async def test_a_context_of_another_form_than_w3c_loses_no_more_than_its_baggage(
    settings: MakeSettings, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(partial(propagate.set_global_textmap, propagate.get_global_textmap()))
    propagate.set_global_textmap(JaegerLike())
    async with traced(settings(), handler) as here:
        token = context.attach(baggage.set_baggage("shop", "y" * MAX_CARRIED))
        job = await here.site.app.enqueue_job(handler, "", delay_ms=60_000)
        context.detach(token)

        carried = json.loads((await here.site.job(job.job_id)).options["tm"])
        assert carried.keys() == {"uber-trace-id"}


async def test_a_payload_is_in_no_span(settings: MakeSettings) -> None:
    async def keep(ctx: JobContext, payload: str) -> str:
        ctx.log(payload)
        return payload

    keeping = make_job(keep)
    async with traced(settings(), keeping) as here:
        job = await here.site.app.enqueue_job(keeping, "a secret")
        await job.wait(10)
        await eventually(lambda: here.named("process jobs"))

        assert not [span.name for span in here.spans if "a secret" in span.to_json()]


async def test_no_span_is_drawn_once_that_was_ended(settings: MakeSettings) -> None:
    async with at_work(settings(), handler) as site:
        first = instrument(site.app)
        second = instrument(site.app)
        first()
        assert site.app.tracing is not None, "the last call counts"
        second()
        assert site.app.tracing is None
