"""Enqueueing: what is stored, field by field, and what the caller is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import App, Enqueued, Keep, Registry, UnknownHandler, exponential, fixed, make_job
from jobqueue.clock import now_ms
from jobqueue.job import DAY_S
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, serving
from tests.support.mail import ADA, REGISTRY, Mail, later, send_mail, stored, tidy

# What is stored


async def test_a_job_is_stored_exactly_as_the_documentation_says(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    before_ms = now_ms()

    async with App(REGISTRY, settings()) as app:
        enqueued = await app.enqueue_job(send_mail, ADA)

    job = await stored(redis, prefix, enqueued)
    assert before_ms <= int(job.pop("timestamp")) <= now_ms()
    assert job == {
        "name": "sendMail",
        "data": {"type": "adhoc", "payload": {"to": "ada"}},
        "opts": {
            "attempts": 3,
            "backoff": {"type": "exponential", "delay": 5_000},
            "removeOnComplete": {"age": 7 * DAY_S, "count": 10_000},
            "removeOnFail": {"age": 30 * DAY_S, "count": 10_000},
            "kl": 1_000,
        },
        "delay": "0",
        "priority": "0",
    }
    assert await redis.lrange(f"{prefix}:jobs:wait", 0, -1) == [enqueued.job_id]


async def test_the_caller_is_told_the_id_the_name_and_that_the_job_is_new(settings: MakeSettings) -> None:
    async with App(REGISTRY, settings()) as app:
        first = await app.enqueue_job(send_mail, ADA)
        second = await app.enqueue_job("sendMail", {"to": "ada"})

    assert first == Enqueued("1", "sendMail", "jobs", created=True, superseded=None)
    assert second == Enqueued("2", "sendMail", "jobs")


async def test_a_job_without_payload_stores_null(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    async with App(REGISTRY, settings()) as app:
        by_handle = await stored(redis, prefix, await app.enqueue_job(tidy))
        by_name = await stored(redis, prefix, await app.enqueue_job("tidy"))

    assert by_handle["data"] == by_name["data"] == {"type": "adhoc", "payload": None}


async def test_a_payload_may_be_given_as_its_fields(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    untyped: Any = send_mail

    async with App(REGISTRY, settings()) as app:
        job = await stored(redis, prefix, await app.enqueue_job(untyped, {"to": "ada"}))

    assert job["data"]["payload"] == {"to": "ada"}


OPTIONS: list[tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = [
    ({"priority": 5}, {"priority": 5}, {"priority": "5"}),
    ({"priority": 0}, {}, {"priority": "0"}),
    ({"delay_ms": 60_000}, {"delay": 60_000}, {"delay": "60000"}),
    ({"delay_ms": 0}, {}, {"delay": "0"}),
    ({"delay_ms": None, "priority": None, "job_id": None}, {}, {"delay": "0"}),
    ({"attempts": 1}, {"attempts": 1}, {}),
    ({"backoff": 0}, {"backoff": {"type": "fixed", "delay": 0}}, {}),
    ({"backoff": 40}, {"backoff": {"type": "fixed", "delay": 40}}, {}),
    (
        {"backoff": exponential(9, jitter=0.5)},
        {"backoff": {"type": "exponential", "delay": 9, "jitter": 0.5}},
        {},
    ),
    ({"job_id": "mail-1"}, {"jobId": "mail-1"}, {}),
    ({"delay_ms": 9_000, "priority": 2}, {"delay": 9_000, "priority": 2}, {"delay": "9000", "priority": "2"}),
]


@pytest.mark.parametrize(("options", "opts", "fields"), OPTIONS, ids=[str(options) for options, *_ in OPTIONS])
async def test_each_option_is_stored_where_bullmq_looks_for_it(
    settings: MakeSettings,
    redis: Redis,
    prefix: str,
    options: dict[str, Any],
    opts: dict[str, Any],
    fields: dict[str, str],
) -> None:
    async with App(REGISTRY, settings()) as app:
        plain = await stored(redis, prefix, await app.enqueue_job(send_mail, ADA))
        job = await stored(redis, prefix, await app.enqueue_job(send_mail, ADA, **options))

    assert job["opts"] == plain["opts"] | opts
    assert job | fields == job


async def test_a_time_limit_travels_in_the_data(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    async with App(REGISTRY, settings()) as app:
        job = await stored(redis, prefix, await app.enqueue_job(send_mail, ADA, timeout_ms=1_500))

    assert job["data"] == {"type": "adhoc", "payload": {"to": "ada"}, "timeoutMs": 1_500}


async def test_a_policy_travels_with_the_job(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    handler = make_job(
        send_mail.function,
        name="strict",
        attempts=9,
        backoff=fixed(3, jitter=0.1),
        keep_completed=Keep(count=0),
        keep_failed=Keep(),
        keep_logs=5,
    )

    async with App(Registry([handler]), settings()) as app:
        job = await stored(redis, prefix, await app.enqueue_job(handler, ADA))

    assert job["opts"] == {
        "attempts": 9,
        "backoff": {"type": "fixed", "delay": 3, "jitter": 0.1},
        "removeOnComplete": {"count": 0},
        "removeOnFail": {"count": -1},
        "kl": 5,
    }


async def test_a_run_at_becomes_the_delay_until_then(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    run_at = datetime.now(UTC) + timedelta(hours=1)

    async with App(REGISTRY, settings()) as app:
        enqueued = await app.enqueue_job(send_mail, ADA, run_at=run_at)

    due_ms = await redis.zscore(f"{prefix}:jobs:delayed", enqueued.job_id)
    assert due_ms is not None
    assert abs(due_ms / 4096 - run_at.timestamp() * 1000) <= 1


async def test_a_run_at_that_is_over_means_now(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    async with App(REGISTRY, settings()) as app:
        for run_at in (datetime(1, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)):
            job = await stored(redis, prefix, await app.enqueue_job(send_mail, ADA, run_at=run_at))
            assert job["delay"] == "0"


async def test_a_first_delay_counts_only_where_the_caller_set_none(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    over = datetime(2000, 1, 1, tzinfo=UTC)

    async with App(REGISTRY, settings()) as app:
        delays = [
            (await stored(redis, prefix, enqueued))["delay"]
            for enqueued in (
                await app.enqueue_job(later),
                await app.enqueue_job(later, delay_ms=0),
                await app.enqueue_job(later, delay_ms=5_000),
                await app.enqueue_job(later, run_at=over),
            )
        ]

    assert delays == ["60000", "0", "5000", "0"]


async def test_a_job_goes_to_its_handlers_queue_and_the_caller_may_choose_another(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    async with App(REGISTRY, settings(jobs_queue="main")) as app:
        routed = await app.enqueue_job(later, delay_ms=0)
        chosen = await app.enqueue_job(later, delay_ms=0, queue="other")
        default = await app.enqueue_job(tidy)

    assert (routed.queue, chosen.queue, default.queue) == ("bulk", "other", "main")
    assert (await stored(redis, prefix, routed))["priority"] == "7"
    assert (await stored(redis, prefix, chosen))["name"] == "later"


async def test_a_handle_carries_the_policy_that_a_configuration_gave_its_name(
    settings: MakeSettings, redis: Redis, prefix: str, tmp_path: Path
) -> None:
    config = tmp_path / "jobs.toml"
    config.write_text("[handlers.sendMail]\nattempts = 8\nqueue = 'mail'\n")

    async with App(REGISTRY, settings(jobs_config=config)) as app:
        enqueued = await app.enqueue_job(send_mail, ADA)

    assert enqueued.queue == "mail"
    assert (await stored(redis, prefix, enqueued))["opts"]["attempts"] == 8


async def test_a_handle_needs_no_registry(settings: MakeSettings) -> None:
    async with App(Registry(), settings()) as app:
        assert (await app.enqueue_job(send_mail, ADA)).created
        with pytest.raises(UnknownHandler):
            await app.enqueue_job("sendMail", {"to": "ada"})


# Job ids


async def test_a_job_id_that_exists_stores_nothing_and_says_so(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    async with App(REGISTRY, settings()) as app:
        first = await app.enqueue_job(send_mail, ADA, job_id="mail-1")
        again = await app.enqueue_job(send_mail, Mail(to="bob"), job_id="mail-1", delay_ms=5, priority=3)

    assert (first.created, again.created) == (True, False)
    assert again.job_id == "mail-1"
    assert (await stored(redis, prefix, first))["data"]["payload"] == {"to": "ada"}
    assert await redis.lrange(f"{prefix}:jobs:wait", 0, -1) == ["mail-1"]


@pytest.mark.parametrize("options", [{}, {"delay_ms": 1}, {"priority": 1}])
async def test_a_job_id_exists_in_the_finished_states_too(settings: MakeSettings, options: dict[str, Any]) -> None:
    async with App(REGISTRY, settings()) as app, serving(app):
        await (await app.enqueue_job(send_mail, ADA, job_id="mail-1")).wait(WAIT_S)

        again = await app.enqueue_job(send_mail, Mail(to="bob"), job_id="mail-1", **options)

        assert not again.created
        assert await again.wait(WAIT_S) == "ada"


@pytest.mark.parametrize("job_id", ["a", "x" * 255, "ünïcode", "with space", "12a", "1.5", "order/7", "job-1", "{1}"])
async def test_any_other_text_is_a_job_id(settings: MakeSettings, job_id: str) -> None:
    async with App(REGISTRY, settings()) as app:
        enqueued = await app.enqueue_job(send_mail, ADA, job_id=job_id)

        assert enqueued.job_id == job_id
        assert (await app.queue().job(job_id)).envelope.payload == {"to": "ada"}
