"""Prometheus: the queues in its text format. The job counts are named and labelled as Node's BullMQ does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from jobqueue.clock import now_ms
from jobqueue.inspector import Inspector, QueueView
from jobqueue.outbox.shelf import MOST_COUNTED, Shelved

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_NOT_NODES: Final = "paused"
"""BullMQ 6 has no such list, and a queue that has one is not served."""
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric with its labels."""

    value: float
    labels: tuple[tuple[str, str], ...]

    def line(self, metric: str) -> str:
        labels = ", ".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in self.labels)
        return f"{metric}{{{labels}}} {self.value:.15g}"


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric that goes up and down."""

    name: str
    help: str
    samples: tuple[Sample, ...]

    def lines(self) -> Iterable[str]:
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} gauge"
        for sample in self.samples:
            yield sample.line(self.name)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Answers with the numbers of this moment; nothing is counted here."""

    inspector: Inspector
    rows: Callable[[], Awaitable[Sequence[Shelved]]]
    """The queues that have rows in the outbox."""

    async def show(self, request: Request) -> Response:
        queues = await self.inspector.queues()
        rows = await self.rows()
        gauges = (
            *(_counts(queues), _paused(queues), await self._ages(queues), await self._workers()),
            *(_rows(rows), _oldest_rows(rows)),
        )
        text = "".join(f"{line}\n" for gauge in gauges for line in gauge.lines())
        return PlainTextResponse(text, headers={"content-type": MEDIA_TYPE})

    async def _ages(self, queues: Iterable[QueueView]) -> Gauge:
        served = [queue.name for queue in queues if queue.refused is None]
        oldest = await asyncio.gather(*map(self.inspector.oldest_waiting, served))
        now = now_ms()
        samples = tuple(
            Sample(max(now - since_ms, 0) / 1_000, (("queue", queue), ("handler", handler)))
            for queue, by_handler in zip(served, oldest, strict=True)
            for handler, since_ms in by_handler.items()
        )
        help_text = "How long the oldest job of a handler could have run and has not"
        return Gauge("jobqueue_oldest_waiting_seconds", help_text, samples)

    async def _workers(self) -> Gauge:
        counts: dict[tuple[str, str], int] = {}
        for worker in await self.inspector.workers():
            for queue in worker.queues:
                counts[queue, worker.language] = counts.get((queue, worker.language), 0) + 1
        samples = tuple(
            Sample(count, (("queue", queue), ("language", language))) for (queue, language), count in counts.items()
        )
        return Gauge("jobqueue_workers", "Number of workers that serve the queue", samples)


def _counts(queues: Iterable[QueueView]) -> Gauge:
    samples = tuple(
        Sample(count, (("queue", queue.name), ("state", state)))
        for queue in queues
        for state, count in queue.counts.items()
        if state != _NOT_NODES
    )
    return Gauge("bullmq_job_count", "Number of jobs in the queue by state", samples)


def _paused(queues: Iterable[QueueView]) -> Gauge:
    samples = tuple(Sample(queue.paused, (("queue", queue.name),)) for queue in queues)
    return Gauge("jobqueue_queue_paused", "Whether the queue is paused", samples)


def _rows(shelved: Iterable[Shelved]) -> Gauge:
    samples = tuple(
        Sample(count, (("queue", one.queue), ("state", state)))
        for one in shelved
        for state, count in (("waiting", one.waiting), ("set_aside", one.set_aside))
    )
    help_text = f"Number of jobs on their way to Redis, counted up to {MOST_COUNTED} or less"
    return Gauge("jobqueue_outbox_rows", help_text, samples)


def _oldest_rows(shelved: Iterable[Shelved]) -> Gauge:
    now = datetime.now(UTC)
    samples = tuple(
        Sample(max((now - one.oldest_at).total_seconds(), 0), (("queue", one.queue),))
        for one in shelved
        if one.oldest_at is not None
    )
    return Gauge("jobqueue_outbox_oldest_seconds", "How long the oldest job is on its way to Redis", samples)
