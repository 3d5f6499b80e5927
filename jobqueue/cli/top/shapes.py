"""Shapes: frames as JSON, in the shapes of the admin routes."""

from __future__ import annotations

from typing import Any

from board.api.serialize import listed_job_json, queue_json, worker_json
from jobqueue.cli.top.frames import Frame
from jobqueue.inspector import Point, Statistics


def frame_json(frame: Frame) -> dict[str, Any]:
    return {
        "at": frame.at_ms,
        "redis": "ok",
        "queues": [{**queue_json(one), "lastHour": _figures_json(frame.figures.get(one.name))} for one in frame.queues],
        "workers": [worker_json(worker) for worker in frame.workers],
        "failed": [listed_job_json(job) for job in frame.failed],
    }


def away_json(at_ms: int) -> dict[str, Any]:
    """In place of a frame while Redis is away."""
    return {"at": at_ms, "redis": "away"}


def _figures_json(figures: Statistics | None) -> dict[str, Any] | None:
    return None if figures is None else _point_json(figures.total)


def _point_json(point: Point) -> dict[str, Any]:
    return {
        "completed": point.completed,
        "failed": point.failed,
        "retried": point.retried,
        "waitP50Ms": point.wait_p50_ms,
        "waitP95Ms": point.wait_p95_ms,
        "runP50Ms": point.run_p50_ms,
        "runP95Ms": point.run_p95_ms,
    }
