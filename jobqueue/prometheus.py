"""Prometheus: what one worker does, by queue and handler, as metrics of `prometheus_client`. Needs the extra
`prometheus`. How many jobs wait is told by the board's `/metrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from jobqueue.app import App
from jobqueue.events import Event
from jobqueue.registry import Registry
from jobqueue.statistics import OTHERS

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"needs {missing.name}: pip install 'jobqueue[prometheus]'", name=missing.name
    ) from missing

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MAX_QUEUES: Final = 100
"""Queues that are counted each by its name; a job may be enqueued under any."""

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200)
_OUTCOMES: Final = frozenset(
    {
        *("job.completed", "job.superseded", "job.skipped", "job.retried", "job.postponed", "job.failed"),
        *("job.cancelled", "job.parked", "job.waiting_children", "job.released", "job.fenced"),
    }
)


def observe(app: App, registry: CollectorRegistry | None = None) -> Callable[[], None]:
    """Count what this app enqueues and what its worker runs; returns the function that ends it.

    Without a `registry` it is prometheus_client's own, REGISTRY. Labels are bounded: a handler that the app's registry
    does not know is counted as "(others)", and so is a queue beyond the first hundred.
    Raises: ValueError where the registry has these metrics already: one app for each.
    """
    registry = REGISTRY if registry is None else registry
    metrics = Metrics(app.registry, registry)
    unsubscribe = app.events.subscribe(metrics.hear)

    def stop() -> None:
        unsubscribe()
        metrics.unregister()

    return stop


def exposed(registry: CollectorRegistry = REGISTRY) -> bytes:
    """All metrics of a registry as text, for an answer of MEDIA_TYPE."""
    return generate_latest(registry)


class Metrics:
    """The metrics of one app. Concurrency: hears events on the app's loop."""

    def __init__(self, handlers: Registry, registry: CollectorRegistry) -> None:
        self._handlers = handlers
        self._registry = registry
        self._queues: set[str] = set()
        self._running: dict[tuple[str | None, str | None], tuple[str, str]] = {}
        who = ("queue", "handler")
        self._enqueued = Counter("jobqueue_jobs_enqueued_total", "Jobs that were enqueued here", who, registry=registry)
        told = "Tries that ended here, by outcome"
        self._tries = Counter("jobqueue_tries_total", told, (*who, "outcome"), registry=registry)
        told = "How long handlers ran"
        self._ran = Histogram("jobqueue_run_seconds", told, who, buckets=_BUCKETS_S, registry=registry)
        told = "How long jobs waited from when they were due until their first try"
        self._waited = Histogram("jobqueue_wait_seconds", told, who, buckets=_BUCKETS_S, registry=registry)
        self._active = Gauge("jobqueue_active_jobs", "Handlers at work here", who, registry=registry)
        told = "Jobs whose worker was lost, put back by this one"
        self._stalled = Counter("jobqueue_jobs_stalled_total", told, ("queue",), registry=registry)
        self._lost = Counter("jobqueue_redis_lost_total", "Times that Redis was away", registry=registry)

    def hear(self, event: Event) -> None:
        match event.name:
            case "job.enqueued":
                self._enqueued.labels(*self._labels(event)).inc()
            case "job.started":
                self._started(event)
            case "job.stalled":
                self._stalled.labels(self._queue(event.queue)).inc()
            case "redis.lost":
                self._lost.inc()
            case "worker.stopped":
                self._running.clear()
                self._active.clear()
            case name if name in _OUTCOMES:
                self._ended(event)
            case _:
                return

    def unregister(self) -> None:
        metrics = (self._enqueued, self._tries, self._ran, self._waited, self._active, self._stalled, self._lost)
        for metric in metrics:
            self._registry.unregister(metric)

    def _started(self, event: Event) -> None:
        labels, key = self._labels(event), (event.queue, event.job_id)
        if event.waited_ms is not None:
            self._waited.labels(*labels).observe(event.waited_ms / 1000)
        if key not in self._running:  # one that was lost to another worker, and came back
            self._running[key] = labels
            self._active.labels(*labels).inc()

    def _ended(self, event: Event) -> None:
        labels = self._labels(event)
        self._tries.labels(*labels, event.name.removeprefix("job.")).inc()
        if event.ran_ms is not None:
            self._ran.labels(*labels).observe(event.ran_ms / 1000)
        started_as = self._running.pop((event.queue, event.job_id), None)
        if started_as is not None:
            self._active.labels(*started_as).dec()

    def _labels(self, event: Event) -> tuple[str, str]:
        known = event.handler is not None and self._handlers.find(event.handler) is not None
        return self._queue(event.queue), event.handler if known and event.handler is not None else OTHERS

    def _queue(self, name: str | None) -> str:
        name = name or OTHERS
        if name not in self._queues:
            if len(self._queues) >= MAX_QUEUES:
                return OTHERS
            self._queues.add(name)
        return name
