"""The dashboard of the documentation: each metric that it names is one that a board or a worker really serves."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from board import create_app
from jobqueue import JobContext, fixed, make_job
from jobqueue.cli.health import health_served
from tests.board.support import client_of
from tests.conftest import MakeSettings
from tests.support.processes import free_port
from tests.worker.harness import at_work

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana" / "jobqueue.json"
ONLY_IN_TROUBLE = {"jobqueue_jobs_stalled_total", "jobqueue_outbox_rows", "jobqueue_outbox_oldest_seconds"}
"""Metrics that have no sample as long as all goes well."""


async def work(ctx: JobContext, tries: int) -> None:
    if ctx.job.attempt < tries:
        raise ValueError("not yet")


pack = make_job(work, name="pack", backoff=fixed(1))


@pytest.fixture
async def served(settings: MakeSettings) -> AsyncIterator[str]:
    """What a board and a worker serve after real work."""
    port = free_port()
    async with at_work(settings(environment="local"), pack) as site, health_served(site.app, port, metrics=True):
        job = await site.app.enqueue_job(pack, 2)
        await job.wait(10)
        await site.app.enqueue_job(pack, 1, queue="unserved")
        async with client_of(create_app(site.app)) as board, httpx.AsyncClient() as http:
            answers = [await board.get("/metrics"), await http.get(f"http://127.0.0.1:{port}/metrics")]
            assert [answer.status_code for answer in answers] == [200, 200]
            yield "".join(answer.text for answer in answers)


def metrics_named() -> set[str]:
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    return {name for expression in expressions for name in re.findall(r"\b(?:jobqueue|bullmq)_\w+", expression)}


async def test_each_metric_that_the_dashboard_names_is_served_after_real_work(served: str) -> None:
    samples = set(re.findall(r"^(\w+)[{ ]", served, re.MULTILINE))
    families = set(re.findall(r"^# TYPE (\w+) ", served, re.MULTILINE))

    assert metrics_named() - ONLY_IN_TROUBLE <= samples
    assert metrics_named() & ONLY_IN_TROUBLE <= families


async def test_each_metric_of_a_board_and_of_a_worker_is_in_the_dashboard(served: str) -> None:
    families = re.findall(r"^# TYPE ((?:jobqueue|bullmq)_\w+) ", served, re.MULTILINE)
    shown = " ".join(metrics_named())

    assert [name for name in families if name not in shown and not name.endswith("_created")] == []


async def test_the_names_of_a_board_and_of_a_worker_do_not_clash(served: str) -> None:
    families = re.findall(r"^# TYPE (\w+) ", served, re.MULTILINE)

    assert sorted(families) == sorted(set(families))
