"""A worker beside code that has never configured logging, and beside another worker: each line is told, and once."""

from __future__ import annotations

import logging

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from tests.conftest import MakeSettings
from tests.worker.harness import ask, at_work, keys_of

log = logging.getLogger("shop.orders")


@make_job
async def tells(ctx: JobContext) -> None:
    log.warning("out of paper")


async def test_warnings_are_still_printed_where_nobody_has_configured_logging(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python prints them as long as there is no handler at all; a worker's own one silenced the whole service."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own, too
    async with at_work(settings(), tells) as site:
        log.error("the service's own words")
        log.info("too quiet for that")
        await site.end_of((await site.app.enqueue_job(tells)).job_id)

    said = capsys.readouterr().err
    assert said.count("the service's own words\n") == 1
    assert said.count("out of paper\n") == 1
    assert "too quiet" not in said


async def test_two_workers_of_one_process_write_a_line_to_the_jobs_log_once(
    settings: MakeSettings, redis: Redis
) -> None:
    ours = settings()
    async with at_work(ours, tells, name="one") as site, at_work(ours, tells, name="other"):
        job = await site.app.enqueue_job(tells)
        await site.end_of(job.job_id)

    lines: list[str] = await ask(redis, "LRANGE", keys_of(ours).job_logs(job.job_id), 0, -1)
    assert lines == ["WARNING shop.orders: out of paper"]
