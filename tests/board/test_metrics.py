"""Metrics: the text that Prometheus reads; the counts are those that Node's BullMQ exports."""

from __future__ import annotations

import re

import httpx

from board.prometheus import Sample
from jobqueue.app import App
from jobqueue.worker import Worker
from tests.board.support import fail, heartbeat, note
from tests.interop.node_peer import NodePeer
from tests.support.eventually import eventually

HOUR_MS = 3_600_000


async def lines_of(client: httpx.AsyncClient) -> list[str]:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text.endswith("\n")
    return answer.text.splitlines()


async def test_jobs_are_counted_by_queue_and_state(client: httpx.AsyncClient, app: App) -> None:
    await fail(app, await app.enqueue_job(heartbeat), "it broke")
    for _ in range(2):
        await app.enqueue_job(note, {"a": 1})
    lines = await lines_of(client)
    assert "# TYPE bullmq_job_count gauge" in lines
    assert 'bullmq_job_count{queue="jobs", state="failed"} 1' in lines
    assert 'bullmq_job_count{queue="notes", state="waiting"} 2' in lines
    assert 'bullmq_job_count{queue="notes", state="waiting-children"} 0' in lines


async def test_the_counts_are_those_that_node_sees(
    client: httpx.AsyncClient, app: App, redis_url: str, prefix: str
) -> None:
    await fail(app, await app.enqueue_job(heartbeat), "it broke")
    await app.enqueue_job(heartbeat, delay_ms=HOUR_MS)
    await app.enqueue_job(heartbeat, priority=3)
    async with NodePeer(redis_url, prefix) as node:
        counts = await node.counts()
    sample = re.compile(r'bullmq_job_count\{queue="jobs", state="(.*)"\} (\d+)')
    found = [match.groups() for match in map(sample.fullmatch, await lines_of(client)) if match]
    assert {state: int(count) for state, count in found} == counts


async def test_a_paused_queue_is_told(client: httpx.AsyncClient) -> None:
    assert 'jobqueue_queue_paused{queue="notes"} 0' in await lines_of(client)
    await client.post("/api/admin/queue/notes/pause")
    assert 'jobqueue_queue_paused{queue="notes"} 1' in await lines_of(client)


async def test_the_age_of_the_oldest_job_is_told_for_each_handler(client: httpx.AsyncClient, app: App) -> None:
    old = await app.enqueue_job(heartbeat)
    stamp = int(await app.client.call("HGET", app.queue().keys.job(old.job_id), "timestamp"))
    await app.client.call("HSET", app.queue().keys.job(old.job_id), "timestamp", stamp - HOUR_MS)
    await app.enqueue_job(note, {"a": 1}, delay_ms=HOUR_MS)
    ages = [line for line in await lines_of(client) if line.startswith("jobqueue_oldest_waiting_seconds")]
    (age,) = ages  # a delayed job waits for its time, not for a worker
    assert age.startswith('jobqueue_oldest_waiting_seconds{queue="jobs", handler="heartbeat"} 36')


async def test_workers_are_counted_by_queue_and_language(client: httpx.AsyncClient, app: App) -> None:
    async def told() -> bool:
        return 'jobqueue_workers{queue="jobs", language="python"} 1' in await lines_of(client)

    assert not await told()
    async with Worker(app, queues=["jobs"]):
        await eventually(told)


async def test_every_line_is_of_the_text_format(client: httpx.AsyncClient, app: App) -> None:
    await app.enqueue_job(heartbeat)
    sample = re.compile(r'[a-z_]+\{[a-z]+="[^"\n]*"(, [a-z]+="[^"\n]*")*\} [0-9.e+-]+')
    for line in await lines_of(client):
        assert line.startswith(("# HELP ", "# TYPE ")) or sample.fullmatch(line), line


async def test_a_queue_of_bullmq_5_does_not_hide_the_others(client: httpx.AsyncClient, app: App) -> None:
    await app.client.call("RPUSH", app.queue().keys.of("paused"), "1")
    lines = await lines_of(client)
    assert not [line for line in lines if line.startswith('bullmq_job_count{queue="jobs"')]
    assert 'bullmq_job_count{queue="notes", state="waiting"} 0' in lines


def test_the_value_of_a_label_cannot_end_it() -> None:
    sample = Sample(1, (("queue", 'a"} 5\nx{b="\\'),))
    assert sample.line("m") == 'm{queue="a\\"} 5\\nx{b=\\"\\\\"} 1'
