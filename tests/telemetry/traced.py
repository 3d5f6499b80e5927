"""A worker whose spans stay in memory, for the tests to look at."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from jobqueue.handler import Handler
from jobqueue.otel import instrument
from jobqueue.settings import Settings
from tests.worker.harness import Site, at_work


@dataclass(frozen=True, slots=True)
class TracedSite:
    """A running worker, and the spans that have ended."""

    site: Site
    provider: TracerProvider
    exporter: InMemorySpanExporter

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        """The spans of that name, in the order in which they ended."""
        return [span for span in self.spans if span.name == name]


@asynccontextmanager
async def traced(settings: Settings, *handlers: Handler[Any]) -> AsyncGenerator[TracedSite]:
    """A traced worker that serves `handlers` until the block ends."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with at_work(settings, *handlers) as site:
        instrument(site.app, provider)
        yield TracedSite(site, provider, exporter)


def context_of(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def id_of(span: ReadableSpan) -> int:
    return context_of(span).span_id


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id
